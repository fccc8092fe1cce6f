// The validity rules of each architecture, the same three functions for all of them. Each file
// here names the kernel source that a rule was read in.
#pragma once

#include "replayer/rule_view.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct ArchRules {
  // Is kvm_run.flags this exit's? exit.flags_validity is kValid before.
  void (*judge_flags)(const RuleView& view);
  // The fields before the union, all of which stand in `exit` when this is called, and no others.
  void (*judge_header)(const RuleView& view);
  // The fields of exit.reason's union member.
  void (*judge_exit)(const RuleView& view);
};

ArchRules x86_rules();
ArchRules arm64_rules();
ArchRules riscv_rules();
ArchRules s390_rules();
ArchRules ppc_rules();
ArchRules loongarch_rules();
ArchRules mips_rules();
ArchRules unknown_arch_rules();  // believes nothing

ArchRules rules_of(Architecture architecture);

// For kernels that never write kvm_run.flags.
void judge_flags_never_written(const RuleView& view);
// Takes kvm_run.flags back where it has bits that this kernel does not set; schema/abi/flags.csv
// says which there are.
void judge_flag_bits(const RuleView& view);
// For headers without fields of the architecture's own.
inline void judge_plain_header(const RuleView&) {}
// hw.hardware_exit_reason, which only ppc and x86 write.
void judge_hw_never_written(const RuleView& view);

}  // namespace kvmtape
