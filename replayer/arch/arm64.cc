// aarch64, of either byte order. Read in arch/arm64/kvm of Debian's linux-source 6.1.192 and
// 6.12.117; what 5.10 does was seen on its pages in traces/raw.
#include "replayer/arch/arch_rules.h"
#include "replayer/exit_rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint16_t kHsrHighValid = 1;  // KVM_DEBUG_ARCH_HSR_HIGH_VALID
constexpr uint32_t kEcWatchpointLower = 0x34;
constexpr uint64_t kFnV = 1 << 10;

// 18f3976fdb5d (5.19): flags is cleared as KVM_RUN begins and assigned for a debug exit, 1 and
// nothing else up to 7.2 (arm.c, handle_exit.c).
void judge_arm64_flags(const RuleView& view) {
  Exit& exit = view.exit;
  if (view.moment.ret_known && view.moment.ret < 0 && exit.reason_validity != Validity::kValid) {
    exit.flags_validity = exit.reason_validity;
    exit.flags_why = "KVM_RUN failed, maybe before it wrote flags";
    if (exit.reason_validity == Validity::kStale)
      exit.flags_why = "KVM_RUN returned before it wrote flags";
    return;
  }
  switch (view.kernel.since(5, 19)) {
    case Known::kYes:
      judge_flag_bits(view);
      if (exit.flags_validity != Validity::kValid || exit.flags == 0 || exit.reason == kExitDebug)
        return;
      exit.flags_validity = Validity::kUnknown;
      exit.flags_why = "arm64 sets flags for KVM_EXIT_DEBUG only";
      return;
    case Known::kNo:
      exit.flags_validity = Validity::kStale;
      exit.flags_why = "arm64 kernels before 5.19 do not write kvm_run.flags";
      return;
    case Known::kMaybe:
      if (exit.reason == kExitDebug && exit.flags == kHsrHighValid) return;
      exit.flags_validity = Validity::kUnknown;
      exit.flags_why =
          "it is not known whether this kernel writes flags: before 5.19 arm64 does not";
      return;
  }
}

void judge_hsr_high(const RuleView& view) {
  const bool flagged = (view.exit.flags & kHsrHighValid) != 0;
  const Known has = view.kernel.since(5, 19);
  for (const Field& field : view.fields()) {
    if (field.name != "debug.arch.hsr_high" || field.bytes == 0) continue;
    if (has == Known::kNo && flagged)
      view.judge(field, Validity::kUnknown,
                 "KVM_DEBUG_ARCH_HSR_HIGH_VALID is set, but this kernel is said to be older than "
                 "5.19, which brought it: a backport, or garbage");
    else if (has == Known::kNo)
      view.judge(field, Validity::kAbsent,
                 "kernels before 5.19 have padding here, which they do not write");
    else if ((view.exit.flags & ~kHsrHighValid) != 0)
      view.judge(field, Validity::kUnknown, "kvm_run.flags has bits that no kernel up to 7.3 sets");
    else if (!flagged)
      view.judge(field, Validity::kStale,
                 "KVM_DEBUG_ARCH_HSR_HIGH_VALID is not set in kvm_run.flags");
    else
      view.judge(field, Validity::kValid, {});
  }
}

void judge_far(const RuleView& view, uint32_t exception_class) {
  if (exception_class != kEcWatchpointLower)
    return view.mark("debug.arch.far", Validity::kStale,
                     "far is written only for a watchpoint (EC 0x34)");
  if ((view.u32(0) & kFnV) != 0)
    return view.mark("debug.arch.far", Validity::kStale, "hsr.FnV is set: there is no address");
  if (view.kernel.watchpoint_far != Known::kYes)
    view.mark("debug.arch.far", Validity::kUnknown,
              "before 811154e234db (6.4, 6.3.7, 6.1.33) this is the address of the last stage-2 "
              "fault, and this kernel is older or does not say its stable release");
}

void judge_arm64_debug(const RuleView& view) {
  const uint32_t hsr = view.u32(0);
  judge_hsr_high(view);
  judge_far(view, hsr >> 26);

  Exit& exit = view.exit;
  const Field* low = exit.find("debug.arch.hsr");
  const Field* high = exit.find("debug.arch.hsr_high");
  if (low == nullptr || low->validity != Validity::kValid || low->bytes == 0) return;
  exit.has_esr = true;
  exit.esr = hsr;
  if (high == nullptr || high->validity != Validity::kValid) return;
  exit.esr_has_high = true;
  exit.esr |= uint64_t{view.u32(4)} << 32;  // two u32, low then high, in both byte orders
}

// Of two writers ARM_EXCEPTION_HYP_GONE (handle_exit.c, 5.10 to 7.2) sets exit_reason alone.
// vcpu_on_unsupported_cpu (arm.c, since 5.18) writes both fields, the first always with this value.
void judge_fail_entry(const RuleView& view) {
  constexpr uint64_t kCpuUnsupported = 1;
  const Known writes = view.kernel.since(5, 18);
  if (writes == Known::kYes && view.u64(0) == kCpuUnsupported) return;
  const bool may_be = writes == Known::kMaybe && view.u64(0) == kCpuUnsupported;
  const std::string_view why =
      writes == Known::kNo ? "arm64 kernels before 5.18 write the reason of the exit alone"
      : may_be ? "it is not known whether this kernel writes it: before 5.18 arm64 does not"
               : "written with KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED only";
  for (std::string_view name : {"fail_entry.hardware_entry_failure_reason", "fail_entry.cpu"})
    view.mark(name, may_be ? Validity::kUnknown : Validity::kStale, why);
}

// 7.3 mmu.c: the member is cleared first; gva has no flag of its own.
void judge_arm_sea(const RuleView& view) {
  constexpr uint64_t kGpaValid = 1;
  if ((view.u64(8) & kFnV) != 0)
    view.mark("arm_sea.gva", Validity::kStale, "esr.FnV is set: there is no address");
  if ((view.u64(0) & kGpaValid) == 0)
    view.mark("arm_sea.gpa", Validity::kStale, "KVM_EXIT_ARM_SEA_FLAG_GPA_VALID is not set");
  const Field* esr = view.exit.find("arm_sea.esr");
  if (esr == nullptr || esr->validity != Validity::kValid || esr->bytes == 0) return;
  view.exit.has_esr = true;  // masked by the kernel to EC, IL, SET and the fault status
  view.exit.esr = view.u64(8);
}

void judge_arm64_exit(const RuleView& view) {
  switch (view.exit.reason) {
    case 0:
      judge_hw_never_written(view);
      break;
    case kExitDebug:
      judge_arm64_debug(view);
      break;
    case 6:
      judge_access(view, kMmio);
      break;
    case 9:
      judge_fail_entry(view);
      break;
    case 17:
      judge_internal_error(view);
      break;
    case 24:
      judge_system_event(view);
      break;
    case 41:
      judge_arm_sea(view);
      break;
    // 3: hypercalls.c assigns the whole member. 28 and 42: no ESR; esr_iss has lost its EC (28)
    // or its fault status (42).
    default:
      break;
  }
}

}  // namespace

ArchRules arm64_rules() { return {judge_arm64_flags, judge_plain_header, judge_arm64_exit}; }

}  // namespace kvmtape
