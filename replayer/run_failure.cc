// KVM_RUN that returned an error: what then stands in exit_reason.
#include <string_view>

#include "replayer/exit_rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

void set_reason(const RuleView& view, Validity validity, std::string_view why) {
  view.exit.reason_validity = validity;
  view.exit.reason_why = why;
}

void judge_eintr(const RuleView& view) {
  // Redaction leaves zeros where the monitor writes.
  const bool told = view.kernel.context.redaction == RedactionProfile::kNone;
  const bool immediate_exit = view.immediate_exit();
  if (view.exit.reason != kExitIntr)  // every signal that KVM reports comes as KVM_EXIT_INTR
    return set_reason(
        view, Validity::kStale,
        !told ? "KVM_RUN returned EINTR, which leaves exit_reason alone"
        : immediate_exit
            ? "KVM_RUN returned EINTR for immediate_exit, which leaves exit_reason alone"
            : "KVM_RUN returned EINTR without an exit, which leaves exit_reason alone");
  if (view.moment.reason_is_new) return;
  if (!told)
    set_reason(
        view, Validity::kUnknown,
        "redaction took away whether immediate_exit was set, which leaves exit_reason alone: "
        "KVM_EXIT_INTR is of this KVM_RUN or of an earlier one");
  else if (immediate_exit)
    set_reason(view, Validity::kUnknown,
               "immediate_exit was set, which leaves exit_reason alone: KVM_EXIT_INTR is of this "
               "KVM_RUN or of an earlier one");
}

}  // namespace

void judge_exit_reason(const RuleView& view) {
  const Exit& exit = view.exit;
  set_reason(view, Validity::kValid, {});
  if (!view.moment.ret_known || view.moment.ret >= 0) return;

  if (view.moment.ret == -kEintr) return judge_eintr(view);
  // Seen on 5.10 and 7.2, in a page filled before: neither exit_reason nor flags were written.
  if (view.moment.ret == -kEnoexec && view.kernel.context.architecture == Architecture::kAarch64)
    return set_reason(view, Validity::kStale,
                      "KVM_RUN returned ENOEXEC, for a vCPU without KVM_ARM_VCPU_INIT, before it "
                      "wrote exit_reason");
  // KVM_EXIT_MEMORY_FAULT is reported by failing, 16f95f3b95ca (6.8), with that series' reset.
  const bool memory_fault = exit.reason == kExitMemoryFault &&
                            (view.moment.ret == -kEfault || view.moment.ret == -kEhwpoison);
  if (memory_fault && view.kernel.since(232, 6, 8) == Known::kYes) return;

  switch (view.kernel.resets_exit_reason) {
    case Known::kYes:
      if (exit.reason == kExitUnknown) return;
      return set_reason(
          view, Validity::kUnknown,
          "KVM_RUN failed: exit_reason is of this KVM_RUN, or of an earlier one if it "
          "failed in the checks before this kernel resets it");
    case Known::kNo:
      return set_reason(view, Validity::kStale,
                        "KVM_RUN failed, and this kernel then leaves exit_reason as it was");
    case Known::kMaybe:
      return set_reason(
          view, Validity::kUnknown,
          "KVM_RUN failed, and it is not known whether this kernel resets exit_reason");
  }
}

}  // namespace kvmtape
