// KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: a hardware exit without a handler. vmx.c,
// __vmx_handle_exit(), and svm.c, svm_invoke_exit_handler(), Linux 6.12.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/internal_data.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class UnexpectedExit : public Rule {
 public:
  std::string_view id() const override { return "unexpected-exit-reason"; }
  std::string_view about() const override {
    return "the hardware left the guest for a reason that this KVM has no handler for";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitInternalError) ||
        all.crash_field("internal.suberror") != kSuberrorUnexpectedExit)
      return;
    const auto reason = all.crash_field("internal.data", 0);
    std::string text = reason ? fmt::format("the hardware exit {:#x}", *reason)
                              : std::string("a hardware exit that was not recorded");
    if (const Field* field = all.decoded_crash.exit.find("internal.data", 0);
        field != nullptr && field->validity == Validity::kValid)
      if (const InternalWord word = internal_word(all.context, all.decoded_crash.exit, *field);
          !word.meaning.empty())
        text = word.meaning;
    Finding finding = crash_finding(all, fmt::format("This KVM has no handler for {}", text), 0.9);
    finding.details.push_back(
        "not the guest's fault: the processor or the hypervisor below knows an exit that this "
        "kernel does not");
    finding.next =
        "a newer host kernel; with nested virtualization, what the level below passes on; "
        "microcode";
    finding.change = "Documentation/virt/kvm/api.rst, KVM_EXIT_INTERNAL_ERROR, suberror 4";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_unexpected_exit_reason_rule() {
  return std::make_unique<UnexpectedExit>();
}

}  // namespace kvmtape
