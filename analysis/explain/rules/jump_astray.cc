// The guest executes where it has no code: it called a null pointer, returned through a smashed
// stack, or runs through zeroed memory. KVM sees an instruction that it cannot fetch or does not
// expect.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/exit_numbers.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"

namespace kvmtape {
namespace {

// KVM fetched no instruction there, and it is no kernel's address.
bool x86_may_be_identity(uint64_t linear, std::span<const uint8_t> insn) {
  return linear >> 47 == 0 && insn.empty();
}

class JumpAstray : public Rule {
 public:
  std::string_view id() const override { return "jump-astray"; }
  std::string_view about() const override {
    return "the guest jumped to where it has no code: null, or no memory at all";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_x86() || all.crash == nullptr) return;
    const bool emulation = all.crashed_by(kExitInternalError) &&
                           all.crash_field("internal.suberror") == kSuberrorEmulation;
    if (!emulation && !all.crashed_by(kExitShutdown)) return;
    const auto rip = all.at_crash.get("rip");
    const auto insn = valid_bytes(all.decoded_crash.exit, all.decoded_crash.moment,
                                  "emulation_failure.insn_bytes");
    if (!rip) return;
    constexpr uint64_t kFirstPage = 0x1000;
    const auto linear = x86_linear_ip(all.at_crash);
    const bool paging = x86_paging(all.at_crash);
    // Kernels live in the upper half; what runs in the lower one is mostly mapped one to one.
    const bool no_memory =
        linear && all.slots.is_outside(*linear) && (!paging || x86_may_be_identity(*linear, insn));
    const bool zeroes =
        !insn.empty() && std::ranges::all_of(insn, [](uint8_t b) { return b == 0; });
    const bool null = x86_operation(all.at_crash) != X86Operation::kReal && *rip < kFirstPage;
    if (!no_memory && !zeroes && !null) return;

    Finding finding = crash_finding(
        all,
        no_memory ? fmt::format("The guest jumped to {:#x}, where it has no memory", *linear)
        : null    ? fmt::format("The guest jumped to {:#x}: a null pointer was called", *rip)
                  : fmt::format("The guest executes zeroed memory at {:#x}", *rip),
        no_memory ? (paging ? 0.85 : 0.92)
        : null    ? 0.88
                  : 0.8);
    if (no_memory)
      finding.details.push_back(fmt::format(
          "none of the {} memory slots holds it{}", all.slots.count(),
          paging ? ", if it is mapped one to one, as firmware and small guests do" : ""));
    if (zeroes && !no_memory)
      finding.details.push_back("the instruction's bytes are zeroes, \"add [rax], al\"");
    const auto rsp = all.at_crash.get("rsp");
    finding.next = fmt::format(
        "find who jumped: the return address at the stack pointer{}, and the last exits below",
        rsp ? fmt::format(" ({:#x})", *rsp) : std::string());
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_jump_astray_rule() { return std::make_unique<JumpAstray>(); }

}  // namespace kvmtape
