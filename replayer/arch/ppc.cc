// ppc64, of either byte order. Read in arch/powerpc/kvm of Debian's linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// book3s_hv.c sets the disposition for an NMI exit, since 4.13, and clears it at the next one only.
void judge_ppc_flags(const RuleView& view) {
  Exit& exit = view.exit;
  const Known writes = view.kernel.since(4, 13);
  if (exit.reason != kExitNmi || exit.reason_validity != Validity::kValid) {
    exit.flags_validity = Validity::kStale;
    exit.flags_why = "ppc writes kvm_run.flags for KVM_EXIT_NMI only";
  } else if (writes == Known::kNo) {
    exit.flags_validity = Validity::kStale;
    exit.flags_why = "ppc kernels before 4.13 do not write kvm_run.flags";
  } else if (writes == Known::kMaybe) {
    exit.flags_validity = Validity::kUnknown;
    exit.flags_why = "it is not known whether this kernel writes flags: before 4.13 ppc does not";
  } else {
    judge_flag_bits(view);
  }
}

// Of 7.2's emitters book3s_hv.c writes the address alone, the single step of book3s_pr.c neither,
// and emulate.c, booke.c and e500_emulate.c both. A watchpoint of booke has its data's address.
void judge_debug(const RuleView& view) {
  constexpr uint32_t kBreakpoint = 2, kWatchWrite = 4, kWatchRead = 8;  // KVMPPC_DEBUG_
  constexpr uint32_t kInstructionBytes = 4;
  const uint32_t status = view.u32(8);
  const bool possible = (status & ~(kBreakpoint | kWatchWrite | kWatchRead)) == 0;
  if (possible)
    view.mark("debug.arch.status", Validity::kUnknown,
              "booke and the emulator write it, book3s HV and a single step of PR do not");
  else
    view.mark("debug.arch.status", Validity::kStale, "not a value that any kernel writes");
  if (view.u64(0) % kInstructionBytes == 0) return;
  if (possible && status >= kWatchWrite)
    view.mark("debug.arch.address", Validity::kUnknown,
              "the address of no instruction, and whether a watchpoint was hit is not known");
  else
    view.mark("debug.arch.address", Validity::kStale,
              "the address of no instruction: a single step of PR, which does not write it");
}

void judge_ppc_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 4:
      judge_debug(view);
      break;
    case 6:
      judge_access(view, kMmio);
      break;
    case 9:
      view.mark("fail_entry.cpu", Validity::kStale, "ppc does not write it");
      break;
    case 15:
      if (view.u8(8) == 0) view.mark_read("dcr.data", kFilledByMonitor);
      break;
    case 17:
      judge_internal_error(view);
      break;
    case 19:
      view.mark_read("papr_hcall.ret", kFilledByMonitor);
      break;
    default:
      break;
  }
}

}  // namespace

ArchRules ppc_rules() { return {judge_ppc_flags, judge_plain_header, judge_ppc_exit}; }

}  // namespace kvmtape
