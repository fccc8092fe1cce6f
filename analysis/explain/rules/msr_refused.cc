// The monitor refused an MSR (KVM_EXIT_X86_RDMSR or WRMSR, answered with msr.error): KVM raises #GP
// in the guest. A kernel that expects it gets over it (rdmsr_safe of Linux), and then there are
// exits behind it; one whose next exit is its death did not. complete_fast_msr_access() in
// arch/x86/kvm/x86.c, Linux 6.12.
#include <fmt/format.h>

#include <optional>
#include <string>

#include "analysis/explain/directly_before.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/msr_names.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

struct Refusal {
  bool is_write = false;
  uint64_t index = 0;
};

class MsrRefused : public Rule {
 public:
  std::string_view id() const override { return "msr-refused"; }
  std::string_view about() const override {
    return "the monitor refused an MSR just before the guest died: a #GP that nothing handled";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void see(const SeenExit& seen) override { refusals_.see(seen, refusal_in(seen.decoded)); }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!is_end_of_gp(all)) return;
    const auto* found = refusals_.before_crash(all);
    if (found == nullptr || found->missing != 0) return;
    const Refusal& refusal = found->deed;
    const std::string_view name = msr_name(static_cast<uint32_t>(refusal.index));
    Finding finding;
    finding.title = fmt::format("The monitor refused {} of MSR {:#x}{} just before the guest died",
                                refusal.is_write ? "WRMSR" : "RDMSR", refusal.index,
                                name.empty() ? "" : fmt::format(" ({})", name));
    finding.confidence = 0.9;
    finding.evidence = {found->place, all.crash->exit.place};
    finding.details.push_back(
        "to the guest that is a #GP, and nothing stands between it and the end");
    finding.next =
        "give the guest this MSR, or a CPUID that does not promise it; Linux survives only what it "
        "reads with rdmsr_safe";
    finding.change = "Documentation/virt/kvm/api.rst, KVM_EXIT_X86_RDMSR: error not 0 injects #GP";
    findings.push_back(std::move(finding));
  }

 private:
  static std::optional<Refusal> refusal_in(const DecodedExit& decoded) {
    const uint32_t reason = decoded.exit.reason;
    if ((reason != kExitX86Rdmsr && reason != kExitX86Wrmsr) || !decoded.has_answer) return {};
    const auto index = valid_field(decoded.exit, "msr.index");
    if (!index || valid_field(decoded.answer, "msr.error").value_or(0) == 0) return {};
    return Refusal{reason == kExitX86Wrmsr, *index};
  }
  // What a #GP becomes that cannot be delivered, or whose handler cannot. An instruction that KVM
  // cannot emulate is reached by a guest that runs.
  static bool is_end_of_gp(const Case& all) {
    return all.crashed_by(kExitShutdown) ||
           (all.crashed_by(kExitInternalError) &&
            all.crash_field("internal.suberror") == kSuberrorDeliveryEv);
  }

  DirectlyBefore<Refusal> refusals_;
};

}  // namespace

std::unique_ptr<Rule> make_msr_refused_rule() { return std::make_unique<MsrRefused>(); }

}  // namespace kvmtape
