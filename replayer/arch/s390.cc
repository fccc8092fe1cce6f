// s390x, big-endian, with two PSW words before the union. Read in arch/s390/kvm of Debian's
// linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

// store_regs in kvm-s390.c writes the PSW after every __vcpu_run, whatever that returned. The
// errors before it are EINTR for immediate_exit, which leaves the reason alone, and EINVAL.
void judge_s390_header(const RuleView& view) {
  if (view.exit.reason_validity == Validity::kValid) return;
  const bool did_not_run = view.moment.ret == -kEintr &&
                           view.exit.reason_validity == Validity::kStale && view.immediate_exit();
  for (std::string_view name : {"psw_mask", "psw_addr"})
    view.mark(name, did_not_run ? Validity::kStale : Validity::kUnknown,
              did_not_run ? "KVM_RUN returned for immediate_exit, before it stored the PSW"
                          : "KVM_RUN failed, maybe before it stored the PSW");
}

// debug_exit_required of guestdbg.c and kvm_s390_deliver_pending_interrupts of interrupt.c.
void judge_s390_debug(const RuleView& view) {
  constexpr uint8_t kHwBp = 1, kHwWpWrite = 2, kSinglestep = 4;
  const uint8_t type = view.u8(8);
  if (type != kHwBp && type != kHwWpWrite && type != kSinglestep)
    view.mark("debug.arch.type", Validity::kUnknown, "KVM writes 1, 2 or 4, and this is neither");
}

// handle_tsch of priv.c: an interruption is described only if one was dequeued.
void judge_tsch(const RuleView& view) {
  const uint8_t dequeued = view.u8(16);
  if (dequeued > 1)
    view.mark("s390_tsch.dequeued", Validity::kUnknown, "KVM writes 0 or 1, and this is neither");
  if (dequeued == 1) return;
  for (std::string_view name : {"s390_tsch.subchannel_id", "s390_tsch.subchannel_nr",
                                "s390_tsch.io_int_parm", "s390_tsch.io_int_word"})
    view.mark(name, dequeued == 0 ? Validity::kStale : Validity::kUnknown,
              dequeued == 0 ? "no interruption was dequeued"
                            : "written if one was dequeued, which dequeued does not say");
}

void judge_s390_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
      break;
    case 4:
      judge_s390_debug(view);
      break;
    case 17:
      judge_internal_error(view);
      break;
    case 22:
      judge_tsch(view);
      break;
    default:
      break;
  }
}

}  // namespace

ArchRules s390_rules() { return {judge_flags_never_written, judge_s390_header, judge_s390_exit}; }

}  // namespace kvmtape
