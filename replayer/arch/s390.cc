// s390x, big-endian, with two PSW words before the union. Read in arch/s390/kvm of Debian's
// linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

// store_regs in kvm-s390.c writes the PSW once the guest has run; every early return is an error.
void judge_header(const RuleView& view) {
  if (view.exit.reason_validity == Validity::kValid) return;
  for (std::string_view name : {"psw_mask", "psw_addr"})
    view.mark(name, view.exit.reason_validity, "KVM_RUN failed, maybe before it stored the PSW");
}

void judge_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
      break;
    case 17:
      judge_internal_error(view);
      break;
    case 22:
      // handle_io_inst in priv.c: an interruption is described only if one was dequeued.
      if (view.u8(16) == 0)
        for (std::string_view name : {"s390_tsch.subchannel_id", "s390_tsch.subchannel_nr",
                                      "s390_tsch.io_int_parm", "s390_tsch.io_int_word"})
          view.mark(name, Validity::kStale, "no interruption was dequeued");
      break;
    default:
      break;
  }
}

}  // namespace

ArchRules s390_rules() { return {judge_flags_never_written, judge_header, judge_exit}; }

}  // namespace kvmtape
