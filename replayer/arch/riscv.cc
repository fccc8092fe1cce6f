// riscv64. Read in arch/riscv/kvm of Debian's linux-source 6.1.192 and 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

void judge_riscv_exit(const RuleView& view) {
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
    case 24:
      judge_system_event(view);
      break;
    // 35 and 36: kvm_riscv_vcpu_sbi_forward and csr_insn write the defaults of ret and ret_value,
    // SBI_ERR_NOT_SUPPORTED and 0.
    default:
      break;
  }
}

}  // namespace

ArchRules riscv_rules() {
  return {judge_flags_never_written, judge_plain_header, judge_riscv_exit};
}

}  // namespace kvmtape
