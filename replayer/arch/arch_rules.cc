#include "replayer/arch/arch_rules.h"

namespace kvmtape {

void judge_flags_never_written(const RuleView& view) {
  view.exit.flags_validity = Validity::kStale;
  view.exit.flags_why = "no kernel of this architecture writes kvm_run.flags";
}

void judge_flag_bits(const RuleView& view) {
  Exit& exit = view.exit;
  if ((exit.flags & ~view.kernel.flags_of_any) != 0) {
    exit.flags_validity = Validity::kUnknown;
    exit.flags_why = "bits that no kernel up to 7.3 sets";
  } else if ((exit.flags & ~view.kernel.flags_of_this) != 0) {
    exit.flags_validity = Validity::kUnknown;
    exit.flags_why = "a bit that came after the kernel that is named: a backport, or garbage";
  }
}

void judge_hw_never_written(const RuleView& view) {
  view.mark("hw.hardware_exit_reason", Validity::kStale,
            "this architecture's KVM does not write it; 0 as a reason says that none was set");
}

ArchRules unknown_arch_rules() {
  return {.judge_flags =
              [](const RuleView& view) {
                view.exit.flags_validity = Validity::kUnknown;
                view.exit.flags_why = "the architecture is not known";
              },
          .judge_header = judge_plain_header,
          .judge_exit =
              [](const RuleView& view) {
                view.mark_all(Validity::kUnknown, "the architecture is not known");
              }};
}

ArchRules rules_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::kX86_64:
    case Architecture::kI386:
      return x86_rules();
    case Architecture::kAarch64:
      return arm64_rules();
    case Architecture::kRiscv64:
      return riscv_rules();
    case Architecture::kS390x:
      return s390_rules();
    case Architecture::kPpc64:
      return ppc_rules();
    case Architecture::kLoongarch64:
      return loongarch_rules();
    case Architecture::kMips64:
      return mips_rules();
    case Architecture::kUnknown:
      break;
  }
  return unknown_arch_rules();
}

}  // namespace kvmtape
