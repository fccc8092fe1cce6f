// loongarch64. Read in arch/loongarch/kvm of Debian's linux-source 6.12.117 and 7.2.13.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

void judge_loongarch_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
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
    // 3: kvm_handle_hypercall of 7.2 exit.c assigns all of the member, ret and flags as well.
    default:
      break;
  }
}

}  // namespace

ArchRules loongarch_rules() {
  return {judge_flags_never_written, judge_plain_header, judge_loongarch_exit};
}

}  // namespace kvmtape
