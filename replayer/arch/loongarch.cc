// loongarch64. Read in arch/loongarch/kvm of Debian's linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

void judge_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
      break;
    case 3:
      view.mark_read("hypercall.ret", kFilledByMonitor);
      if (!view.moment.is_answer)
        view.mark("hypercall.flags", Validity::kUnknown,
                  "it is not known that loongarch writes it");
      break;
    case 6:
      judge_access(view, kMmio);
      break;
    case 17:
      judge_internal_error(view);
      break;
    case 38:
      judge_access(view, {"iocsr_io.data", "iocsr_io.len", "iocsr_io.is_write"});
      break;
    default:
      break;
  }
}

}  // namespace

ArchRules loongarch_rules() { return {judge_flags_never_written, judge_plain_header, judge_exit}; }

}  // namespace kvmtape
