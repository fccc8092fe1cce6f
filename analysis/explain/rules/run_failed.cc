// KVM_RUN failed with an errno that names no page: what each says about monitor, kernel and host.
// Documentation/virt/kvm/api.rst, 4.10 KVM_RUN, and kvm_vcpu_ioctl() in virt/kvm/kvm_main.c, 6.12.
#include <fmt/format.h>

#include <string>

#include "analysis/exit_label.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

struct Meaning {
  int32_t error;
  std::string_view text;
  std::string_view next;
};
constexpr Meaning kMeanings[] = {
    {kErrorNoMemory, "the host kernel had no memory for it",
     "see the monitor's memory cgroup and the host's dmesg; Linux 6.8 of Ubuntu has a known race "
     "that ends so"},
    {kErrorIo, "the VM is dead: KVM met a bug of its own (KVM_BUG_ON), or another process owns it",
     "see the host's dmesg for a warning in kvm; did the monitor fork?"},
    {kErrorNoExec, "the vCPU was never initialized (arm64: KVM_ARM_VCPU_INIT)",
     "see whether the monitor initialized this vCPU after a reset"},
    {kErrorPerm, "it is not permitted in this state",
     "arm64: an SVE vCPU that was not finalized (KVM_ARM_VCPU_FINALIZE)"},
    {kErrorInvalid, "the monitor asked for what this kernel does not accept",
     "see kvm_valid_regs and kvm_dirty_regs, and the vCPU's mp_state"},
    {7, "an argument was too large", "see the MSR lists that the monitor hands over"},
};

class RunFailed : public Rule {
 public:
  std::string_view id() const override { return "run-failed"; }
  std::string_view about() const override { return "KVM_RUN failed with an errno"; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.crash == nullptr) return;
    const int32_t error = errno_of(all.decoded_crash.moment.ret);
    if (error == 0 || error == kErrorFault || error == kErrorHwPoison) return;
    if (all.is_arm64() && error == kErrorNoSys) return;  // nisv's
    // The monitor got over it.
    if (all.crash->exits_behind != 0) return;
    Finding finding =
        crash_finding(all, fmt::format("KVM_RUN failed with {}", errno_name(error)), 0.7);
    for (const Meaning& meaning : kMeanings) {
      if (meaning.error != error) continue;
      finding.title = fmt::format("KVM_RUN failed with {}: {}", errno_name(error), meaning.text);
      finding.next = meaning.next;
      finding.confidence = 0.8;
    }
    if (finding.next.empty()) finding.next = "see the host's dmesg";
    finding.change = "Documentation/virt/kvm/api.rst, 4.10 KVM_RUN";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_run_failed_rule() { return std::make_unique<RunFailed>(); }

}  // namespace kvmtape
