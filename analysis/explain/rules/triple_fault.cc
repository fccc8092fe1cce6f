// KVM_EXIT_SHUTDOWN: an exception, one while delivering it, and one while delivering #DF. Which
// table was missing is in the registers, if they are the guest's: SVM resets the vCPU first
// (shutdown_interception() in arch/x86/kvm/svm/svm.c, Linux 6.12), and reset values say nothing.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"
#include "replayer/arch_names/x86_registers.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

struct Suspect {
  double confidence = 0;
  std::string what;  // behind "Triple fault in 64-bit long mode: "
  std::string next;
};

// What the processor reads to deliver an exception: the IDT's entry, 16 bytes in long mode, 8 in
// protected mode, 4 in real mode; the first 32 are exceptions.
uint64_t entry_bytes(X86Operation operation) {
  if (operation == X86Operation::kReal) return 4;
  return operation == X86Operation::kLong || operation == X86Operation::kCompatibility ? 16 : 8;
}

bool is_removed(const Case& all, uint64_t physical) {
  return all.slots.removed(physical) != nullptr;
}

std::vector<Suspect> suspects_in(const Case& all, const Registers& registers) {
  std::vector<Suspect> found;
  const X86Operation operation = x86_operation(registers);
  constexpr uint64_t kPageMask = 0x000ffffffffff000;
  const bool paging = x86_paging(registers);
  if (paging) {
    const auto cr3 = registers.get("cr3");
    if (cr3 && all.slots.is_outside(*cr3 & kPageMask))
      found.push_back(
          {0.93,
           fmt::format("no memory holds the page table that CR3 ({:#x}) points at{}", *cr3,
                       is_removed(all, *cr3 & kPageMask) ? ": the monitor removed it" : ""),
           is_removed(all, *cr3 & kPageMask)
               ? "see why the monitor removed or moved that memory slot"
               : "see who wrote CR3"});
  }
  const auto limit = registers.get("idt.limit"), base = registers.get("idt.base");
  constexpr uint64_t kExceptions = 32;
  if (limit && base) {
    const bool no_memory = all.slots.is_outside(*base) && *base >> 47 == 0;
    if (*limit == 0)
      found.push_back({0.85, "the IDT is empty (limit 0): it was never loaded, or emptied to reset",
                       "see whether the guest reboots on purpose (Linux reboot=triple); else what "
                       "raised an exception before the IDT was loaded"});
    else if (*limit + 1 < entry_bytes(operation) * kExceptions / 2)
      found.push_back({0.8,
                       fmt::format("the IDT ends after {} of 32 exceptions (limit {:#x})",
                                   (*limit + 1) / entry_bytes(operation), *limit),
                       "see which code loaded this IDT"});
    if (no_memory)
      found.push_back({paging ? 0.8 : 0.93,
                       fmt::format("the IDT lies at {:#x}, where no memory is{}", *base,
                                   paging ? ", if it is mapped one to one" : ""),
                       "see which code loaded this IDT, and the monitor's memory slots"});
  }
  const auto rsp = registers.get("rsp"), cr2 = registers.get("cr2");
  // A page fault on what was pushed, and again when #PF and #DF were: CR2 is the last one's.
  constexpr uint64_t kFrame = 64;
  if (rsp && cr2 && paging && *cr2 != 0 && *cr2 < *rsp && *rsp - *cr2 <= kFrame)
    found.push_back(
        {0.9,
         fmt::format("the page below the stack pointer ({:#x}) faulted (CR2 {:#x}): the "
                     "stack overflowed, or is not mapped",
                     *rsp, *cr2),
         "look for endless recursion and large frames on this stack"});
  constexpr uint64_t kRing = 3;
  const bool is_user =
      (registers.get_or("cs.selector", 0) & kRing) == kRing && operation != X86Operation::kReal;
  if (!is_user && rsp && *rsp < 8 && !x86_stack_is_16_bit(registers)) {
    const uint64_t top = operation == X86Operation::kLong ? ~uint64_t{0} : 0xffffffff;
    const bool is_seen = paging && cr2 && *cr2 <= top && top - *cr2 < kFrame;
    found.push_back(
        {is_seen ? 0.9 : 0.7,
         fmt::format("the stack pointer is {:#x}: a push wraps to the top of the address space{}",
                     *rsp,
                     is_seen ? fmt::format(", and faulted there (CR2 {:#x})", *cr2)
                             : ", where a stack seldom is"),
         "find who lost the stack; a stack overflow hits its guard page first"});
  }
  // The gate is read before the TSS: Intel SDM vol. 2, INT n, "INTER-PRIVILEGE-LEVEL-INTERRUPT".
  // What either holds was not recorded.
  if (is_user && registers.get("tr.base") == 0)
    found.push_back(
        {0.75,
         "in ring 3 with TR base 0, so no TSS was loaded: either the IDT has no gate for it, which "
         "the processor reads first, or the gate leads to ring 0 and finds no stack in a TSS",
         "see which code loaded this IDT and filled its gates, and who enters ring 3 before LTR"});
  return found;
}

// Just before the crash, into its vCPU. An interrupt is injected at every tick of a timer, and is
// no suspect.
const Injection* injected_before(const Case& all) {
  for (auto injection = all.injections.rbegin(); injection != all.injections.rend(); ++injection) {
    if (injection->refused || !injection->after || injection->what.starts_with("interrupt"))
      continue;
    if (is_close_to_crash(all, *injection->after, 1)) return &*injection;
  }
  return nullptr;
}

std::string events_text(const Registers& registers) {
  const auto vector = registers.get("exception.nr");
  if (!vector || registers.get_or("exception.injected", 0) == 0) return {};
  const std::string_view name = x86_exception_name(static_cast<uint8_t>(*vector));
  return fmt::format("it was delivering {}", name.empty() ? "an exception" : name);
}

class TripleFault : public Rule {
 public:
  std::string_view id() const override { return "triple-fault"; }
  std::string_view about() const override {
    return "an exception could not be delivered, nor the double fault that followed";
  }
  std::vector<std::string_view> yields_to() const override {
    return {"guest-panic",     "pvpanic",     "guest-crash-event",
            "reset-requested", "msr-refused", "jump-astray"};
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_x86() || !all.crashed_by(kExitShutdown)) return;
    if (!all.at_crash.empty() && x86_operation(all.at_crash) != X86Operation::kUnknown)
      return judge_registers(all, all.at_crash, true, findings);
    if (!all.before_crash.empty() && x86_operation(all.before_crash) != X86Operation::kUnknown)
      return judge_registers(all, all.before_crash, false, findings);
    Finding finding = crash_finding(
        all,
        "Triple fault; which mode the guest was in, and which table was missing, cannot be known",
        0.5);
    finding.details.push_back(
        fmt::format("cannot know: the registers of the guest: {}", all.no_registers));
    add_next(finding, "record with --registers sync, which hands them over with every exit");
    name_injection(all, finding);
    findings.push_back(std::move(finding));
  }

 private:
  static void judge_registers(const Case& all, const Registers& registers, bool are_its_own,
                              std::vector<Finding>& findings) {
    const std::string mode(to_string(x86_operation(registers)));
    auto suspects = suspects_in(all, registers);
    Suspect worst;
    for (const Suspect& suspect : suspects)
      if (suspect.confidence > worst.confidence) worst = suspect;
    Finding finding;
    if (worst.confidence == 0) {
      finding = crash_finding(
          all,
          fmt::format(
              "Triple fault in {}: a gate, a handler or a page is missing behind an IDT and a "
              "stack that look right",
              mode),
          0.6);
    } else {
      finding = crash_finding(all, fmt::format("Triple fault in {}: {}", mode, worst.what),
                              worst.confidence);
    }
    for (const Suspect& suspect : suspects)
      if (suspect.what != worst.what)
        finding.details.push_back(fmt::format("also: {}", suspect.what));
    if (const auto instruction = instruction_in_memory(all); instruction && are_its_own)
      finding.details.push_back(fmt::format("the vCPU stood at \"{}\"", instruction->text));
    if (const std::string delivering = events_text(registers); !delivering.empty() && are_its_own)
      finding.details.push_back(delivering);
    if (!are_its_own) {
      constexpr double kOlderRegisters = 0.7;
      finding.confidence *= kOlderRegisters;
      if (registers.exit()) finding.evidence.push_back(*registers.exit());
      finding.title = fmt::format("Triple fault, last seen in {}{}", mode,
                                  worst.what.empty() ? "" : ": " + worst.what);
      finding.details.push_back(fmt::format(
          "cannot know: the registers when it happened: {}; these were {}, and the guest ran on",
          all.no_registers, registers.origin_text()));
    }
    add_next(finding, worst.next.empty()
                          ? "look at what the guest did last (below), then at the page that the "
                            "faulting instruction touches; KVM's tracepoint kvm_inj_exception "
                            "names the first exception"
                          : worst.next);
    name_injection(all, finding);
    findings.push_back(std::move(finding));
  }
  // Whatever the tables are like: without it nothing would have had to be delivered.
  static void name_injection(const Case& all, Finding& finding) {
    const Injection* injection = injected_before(all);
    if (injection == nullptr) return;
    constexpr double kInjected = 0.9;
    finding.details.insert(finding.details.begin(), finding.title);
    finding.title = fmt::format("The monitor injected {} after {}, and the guest could not take it",
                                injection->what, to_string(*injection->after));
    finding.confidence = std::max(finding.confidence, kInjected);
    finding.evidence.push_back(*injection->after);
    finding.next = "see why the monitor injects it, and what the guest has to take it with";
  }
  static void add_next(Finding& finding, std::string next) {
    finding.next = std::move(next);
    finding.change =
        "Intel SDM vol. 3 section 6.15, \"double fault\"; AMD: shutdown_interception() resets the "
        "vCPU before it reports";
  }
};

}  // namespace

std::unique_ptr<Rule> make_triple_fault_rule() { return std::make_unique<TripleFault>(); }

}  // namespace kvmtape
