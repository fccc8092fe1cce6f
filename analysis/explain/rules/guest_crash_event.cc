// KVM_SYSTEM_EVENT_CRASH: a guest that knows Hyper-V wrote its crash MSRs: Windows with a stop
// code, Linux with hv_ panic reporting.
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class GuestCrashEvent : public Rule {
 public:
  std::string_view id() const override { return "guest-crash-event"; }
  std::string_view about() const override {
    return "the guest reported its own crash (Hyper-V crash MSRs)";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitSystemEvent) || all.crash_field("system_event.type") != kEventCrash)
      return;
    Finding finding =
        crash_finding(all, "The guest reported its own crash: a stop screen or a panic", 0.95);
    finding.details.push_back(
        "cannot know: the stop code: it is in HV_X64_MSR_CRASH_P0 to P4, which are not recorded");
    finding.next = "see the guest's crash dump; the monitor can read the MSRs (QEMU: hv-crash)";
    finding.change = "KVM_SYSTEM_EVENT_CRASH, Documentation/virt/kvm/api.rst";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_guest_crash_event_rule() { return std::make_unique<GuestCrashEvent>(); }

}  // namespace kvmtape
