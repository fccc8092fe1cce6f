// ppc64, of either byte order. Read in arch/powerpc/kvm of Debian's linux-source 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

constexpr uint32_t kExitNmi = 16;

// book3s_hv.c sets the disposition for an NMI exit and clears it at the next one only.
void judge_flags(const RuleView& view) {
  if (view.exit.reason == kExitNmi && view.exit.reason_validity == Validity::kValid) return;
  view.exit.flags_validity = Validity::kStale;
  view.exit.flags_why = "ppc writes kvm_run.flags for KVM_EXIT_NMI only";
}

void judge_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 4:
      // kvmppc_handle_exit_hv; booke and PR emulation write both, PR's single step neither.
      view.mark("debug.arch.status", Validity::kStale, "book3s HV writes only the address");
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

ArchRules ppc_rules() { return {judge_flags, judge_plain_header, judge_exit}; }

}  // namespace kvmtape
