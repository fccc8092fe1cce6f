// mips64, of either byte order. Read in arch/mips/kvm of Debian's linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

void judge_mips_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
      break;
    case 4:
      view.mark("debug.arch.epc", Validity::kStale, "no MIPS kernel writes it");
      break;
    case 6:
      judge_access(view, kMmio);
      break;
    case 17:
      judge_internal_error(view);
      break;
    default:
      break;
  }
}

}  // namespace

ArchRules mips_rules() { return {judge_flags_never_written, judge_plain_header, judge_mips_exit}; }

}  // namespace kvmtape
