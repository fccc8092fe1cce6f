// The guest executes where it has no code: it called a null pointer, returned through a smashed
// stack, or runs through zeroed memory. KVM sees an instruction that it cannot fetch or does not
// expect.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kFirstPage = 0x1000;

// KVM fetched no instruction there to emulate, and it is no kernel's address.
bool may_be_identity(const Case& all, uint64_t linear, std::span<const uint8_t> insn) {
  return all.crashed_by(kExitInternalError) && linear >> 47 == 0 && insn.empty();
}

// The page fault that could not be delivered was that of fetching the instruction.
bool is_fetch_fault(const Case& all, uint64_t linear) {
  return all.crashed_by(kExitShutdown) && x86_paging(all.at_crash) &&
         all.at_crash.get("cr2") == linear && linear != 0;
}

// "GDT" or "IDT" where the instruction pointer lies inside one: it slid there through zeros, mostly
// from address 0.
std::string_view table_at(const Registers& registers, uint64_t linear) {
  for (const auto& [name, table] : {std::pair{"gdt", "GDT"}, std::pair{"idt", "IDT"}}) {
    const auto base = registers.get(fmt::format("{}.base", name));
    const auto limit = registers.get(fmt::format("{}.limit", name));
    // Real mode's table of interrupts lies at 0 whatever is there.
    if (base && limit && *base != 0 && linear >= *base && linear - *base <= *limit) return table;
  }
  return {};
}

struct Astray {
  std::string title;
  double confidence = 0;
  std::string detail;
  std::string next{};  // empty: find who jumped
};

Astray without_memory(const Case& all, uint64_t linear) {
  const bool paging = x86_paging(all.at_crash);
  Astray found{
      fmt::format("The guest jumped to {:#x}, where it has no memory", linear),
      paging ? 0.85 : 0.92,
      fmt::format("no memory slot holds it{}",
                  paging ? ", if it is mapped one to one, as firmware and small guests do" : "")};
  if (all.slots.removed(linear) != nullptr) {
    found.title =
        fmt::format("The guest's code at {:#x} is gone: the monitor removed that memory", linear);
    found.next = "see why the monitor removed or moved that memory slot";
  } else if (linear != 0 && all.slots.find(linear - 1) != nullptr) {
    found.title = fmt::format("The guest ran off the end of its memory at {:#x}", linear);
    found.next =
        "see what it ran through on its way there: a kernel that was never loaded reads as zeros, "
        "which execute";
  }
  return found;
}

std::optional<Astray> astray_at(const Case& all, uint64_t linear) {
  const auto insn =
      valid_bytes(all.decoded_crash.exit, all.decoded_crash.moment, "emulation_failure.insn_bytes");
  // Kernels live in the upper half; what runs in the lower one is mostly mapped one to one.
  if (all.slots.is_outside(linear) &&
      (!x86_paging(all.at_crash) || may_be_identity(all, linear, insn)))
    return without_memory(all, linear);
  if (x86_operation(all.at_crash) != X86Operation::kReal && linear < kFirstPage)
    return Astray{
        fmt::format("The guest jumped to {:#x}: a null pointer was called", linear), 0.88, {}};
  if (is_fetch_fault(all, linear))
    return Astray{fmt::format("The guest jumped to {:#x}, where nothing is mapped", linear), 0.88,
                  "the page fault was that of fetching the instruction: CR2 is RIP"};
  if (const std::string_view table = table_at(all.at_crash, linear); !table.empty())
    return Astray{fmt::format("The guest executes its own {} at {:#x}", table, linear), 0.9,
                  "zeroed memory in front of it executes as \"add [rax], al\": a null pointer that "
                  "was called slides through it"};
  if (!insn.empty() && std::ranges::all_of(insn, [](uint8_t b) { return b == 0; }))
    return Astray{fmt::format("The guest executes zeroed memory at {:#x}", linear), 0.8,
                  "the instruction's bytes are zeroes, \"add [rax], al\""};
  return std::nullopt;
}

class JumpAstray : public Rule {
 public:
  std::string_view id() const override { return "jump-astray"; }
  std::string_view about() const override {
    return "the guest jumped to where it has no code: null, or no memory at all";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_x86() || all.crash == nullptr) return;
    const bool emulation = all.crashed_by(kExitInternalError) &&
                           all.crash_field("internal.suberror") == kSuberrorEmulation;
    if (!emulation && !all.crashed_by(kExitShutdown)) return;
    const auto rip = all.at_crash.get("rip");
    const auto linear = x86_linear_ip(all.at_crash);
    // Without its segment a small address alone tells something.
    if (!rip || (!linear && *rip >= kFirstPage)) return;
    const auto astray = astray_at(all, linear.value_or(*rip));
    if (!astray) return;
    Finding finding = crash_finding(all, astray->title, astray->confidence);
    if (!astray->detail.empty()) finding.details.push_back(astray->detail);
    const auto rsp = all.at_crash.get("rsp");
    finding.next =
        !astray->next.empty()
            ? astray->next
            : fmt::format(
                  "find who jumped: the return address at the stack pointer{}, and the last "
                  "exits below",
                  rsp ? fmt::format(" ({:#x})", *rsp) : std::string());
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_jump_astray_rule() { return std::make_unique<JumpAstray>(); }

}  // namespace kvmtape
