// KVM_EXIT_NOTIFY (6.0, Intel): the guest kept the processor from taking any event for a whole
// notify window: an instruction that never ends (a #DB or #AC loop), often an attack on the host.
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class NotifyWindow : public Rule {
 public:
  std::string_view id() const override { return "notify-window"; }
  std::string_view about() const override {
    return "the guest let no event through for a whole notify window";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitNotify)) return;
    constexpr uint64_t kContextInvalid = 1;  // KVM_NOTIFY_CONTEXT_INVALID
    const bool invalid = (all.crash_field("notify.flags").value_or(0) & kContextInvalid) != 0;
    Finding finding = crash_finding(
        all, "The guest let no event through for a whole notify window: an endless exception loop",
        invalid ? 0.9 : 0.7);
    finding.details.push_back(invalid ? "its context is corrupt: it cannot go on"
                                      : "its context is intact: it can go on");
    finding.next = "see what stands at rip: a #DB or #AC that raises itself";
    finding.change = "KVM_CAP_X86_NOTIFY_VMEXIT (6.0)";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_notify_window_rule() { return std::make_unique<NotifyWindow>(); }

}  // namespace kvmtape
