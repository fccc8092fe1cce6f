// x86_64 and i386. Read in arch/x86/kvm of Debian's linux-source 6.1.192 and 6.12.117.
#include "replayer/arch/arch_rules.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

constexpr uint32_t kDebugException = 1;
constexpr uint32_t kBreakpointException = 3;

// KVM_RUN can fail before kvm_arch_vcpu_ioctl_run (EIO, EINVAL of its own checks), which is what
// writes flags and the header on every way out (post_kvm_run_save).
bool may_have_failed_early(const RuleView& view) {
  if (!view.moment.ret_known || view.moment.ret >= 0) return false;
  const int32_t error = errno_of(view.moment.ret);
  return error != kEintr && error != kEagain && error != kEfault && error != kEhwpoison;
}

constexpr std::string_view kEarly = "KVM_RUN failed, maybe before it wrote this";

void judge_x86_flags(const RuleView& view) {
  if (may_have_failed_early(view)) {
    view.exit.flags_validity = Validity::kUnknown;
    view.exit.flags_why = kEarly;
  } else {
    judge_flag_bits(view);
  }
}

// post_kvm_run_save in x86.c assigns truth values, a task priority of four bits, and an APIC base
// that kvm_apic_set_base of lapic.c let pass: bits 7:0 and 9 and what lies above 52 bits of address
// are reserved.
void judge_header_values(const RuleView& view) {
  constexpr uint64_t kCr8Max = 15, kApicBaseReserved = 0xfff00000000002ff;
  const bool all_possible = view.load_at<uint8_t>(12) <= 1 && view.load_at<uint8_t>(13) <= 1 &&
                            view.load_at<uint64_t>(16) <= kCr8Max &&
                            (view.load_at<uint64_t>(24) & kApicBaseReserved) == 0;
  if (all_possible || view.moment.is_answer) return;  // the monitor writes what it likes
  for (const Field& field : view.fields()) {
    if (field.validity != Validity::kValid) continue;
    const bool is_truth = field.name == "ready_for_interrupt_injection" || field.name == "if_flag";
    if (is_truth && field.value > 1)
      view.mark(field, Validity::kUnknown, "KVM writes 0 or 1, and this is neither");
    else if (field.name == "cr8" && field.value > kCr8Max)
      view.mark(field, Validity::kUnknown, "CR8 has four bits: KVM writes 0 to 15");
    else if (field.name == "apic_base" && (field.value & kApicBaseReserved) != 0)
      view.mark(field, Validity::kUnknown, "reserved bits of the MSR are set: KVM lets none pass");
  }
}

void judge_x86_header(const RuleView& view) {
  if (!view.moment.is_answer)
    view.mark("request_interrupt_window", Validity::kStale,
              "the monitor writes it for the next KVM_RUN; see the answer");
  judge_header_values(view);
  if (!may_have_failed_early(view)) return;
  for (std::string_view name : {"ready_for_interrupt_injection", "if_flag", "cr8", "apic_base"})
    view.mark(name, Validity::kUnknown, kEarly);
}

// DR7 bit 10 reads as 1 and its upper half as 0 (Intel SDM vol. 3, "Debug Control Register").
bool can_be_dr7(uint64_t value) { return value >> 32 == 0 && (value & 0x400) != 0; }

void judge_x86_debug(const RuleView& view) {
  const uint32_t exception = view.u32(0);
  if (exception == kBreakpointException) {
    constexpr std::string_view kWhy = "not written for #BP";
    view.mark("debug.arch.dr6", Validity::kStale, kWhy);
    view.mark("debug.arch.dr7", Validity::kStale, kWhy);
  } else if (exception != kDebugException) {
    constexpr std::string_view kWhy = "written for #DB only, and this is neither #DB nor #BP";
    view.mark("debug.arch.dr6", Validity::kUnknown, kWhy);
    view.mark("debug.arch.dr7", Validity::kUnknown, kWhy);
  } else if (view.kernel.since(5, 7) == Known::kNo &&
             view.kernel.context.x86_virtualization != X86Virtualization::kVmx) {
    // "KVM: SVM: fill in kvm_run->debug.arch.dr[67]", 5.7-rc5, meant for stable releases too.
    constexpr std::string_view kWhy =
        "before 5.7 AMD hosts write it for #DB only if their stable release took the fix, and this "
        "may be one";
    view.mark("debug.arch.dr6", Validity::kUnknown, kWhy);
    view.mark("debug.arch.dr7", Validity::kUnknown, kWhy);
  } else if (!can_be_dr7(view.u64(24))) {
    // kvm_vcpu_do_singlestep and kvm_vcpu_check_code_breakpoint fill in everything but dr7.
    view.mark("debug.arch.dr7", Validity::kStale,
              "not a DR7 value: KVM emulated the instruction and did not write it");
  }
}

// handle_exit of vmx.c writes the full exit reason of a failed entry or the VM-instruction error,
// that of svm.c the exit code. The number alone does not say which of the two it is.
void judge_fail_entry(const RuleView& view) {
  for (const Field& field : view.fields()) {
    if (field.name != "fail_entry.hardware_entry_failure_reason" ||
        field.validity != Validity::kValid)
      continue;
    std::string_view name;
    switch (view.kernel.context.x86_virtualization) {
      case X86Virtualization::kVmx:
        name = vmx_fail_entry_name(field.value);
        break;
      case X86Virtualization::kSvm:
        name = svm_exit_code_name(field.value);
        break;
      case X86Virtualization::kUnknown:
        return;
    }
    Field& named = view.edit(field);
    named.kind = FieldKind::kEnumerated;
    named.value_name = name;
  }
}

void judge_hypercall(const RuleView& view) {
  // KVM_HC_MAP_GPA_RANGE is the only one that exits: x86.c and svm/sev.c write args[0..2].
  for (const Field& field : view.fields())
    if (field.name == "hypercall.args" && field.element > 2)
      view.mark(field, Validity::kStale, "KVM_HC_MAP_GPA_RANGE has three arguments");
  // 9a1dfeff4414 (6.13 or 6.14; 6.12.117 has not got it) writes 0 into ret.
  if (view.kernel.since(6, 13) == Known::kNo)
    view.mark_read("hypercall.ret", kFilledByMonitor);
  else if (view.kernel.since(6, 14) != Known::kYes && !view.moment.is_answer)
    view.mark("hypercall.ret", Validity::kUnknown,
              "before 6.13 or 6.14 KVM leaves it to the monitor; see the answer");
  switch (view.kernel.since(6, 4)) {
    case Known::kYes:
      view.drop("hypercall.longmode");
      if (view.u64(64) > 1)  // svm/sev.c of 6.12 leaves it alone for page state changes
        view.mark("hypercall.flags", Validity::kStale,
                  "bits that no kernel sets: a path that does not write the flags");
      break;
    case Known::kNo:
      break;
    case Known::kMaybe:
      view.mark("hypercall.flags", Validity::kUnknown,
                "it is not known whether this kernel has it: before 6.4 this is a 32-bit longmode");
      break;
  }
}

// Keeps the view of a union inside the member that its selector names, or none.
void keep_view(const RuleView& view, std::string_view kept,
               std::initializer_list<std::string_view> all) {
  for (std::string_view prefix : all)
    if (prefix != kept) view.drop(prefix);
}

void judge_hyperv(const RuleView& view) {
  static constexpr std::string_view kViews[] = {"hyperv.u.synic.", "hyperv.u.hcall.",
                                                "hyperv.u.syndbg."};
  const uint32_t type = view.u32(0);
  keep_view(view, type >= 1 && type <= 3 ? kViews[type - 1] : std::string_view{},
            {kViews[0], kViews[1], kViews[2]});
  view.mark_read("hyperv.u.hcall.result", kFilledByMonitor);
}

void judge_xen(const RuleView& view) {
  if (view.u32(0) != 1) view.drop("xen.u.");  // KVM_EXIT_XEN_HCALL is the only type
  view.mark_read("xen.u.hcall.result", kFilledByMonitor);
}

void judge_tdx(const RuleView& view) {
  constexpr uint64_t kGetTdVmCallInfo = 0x10000, kGetQuote = 0x10002, kSetupEventNotify = 0x10004;
  const uint64_t leaf = view.u64(8);
  const std::string_view kept = leaf == kGetQuote           ? "tdx.get_quote."
                                : leaf == kGetTdVmCallInfo  ? "tdx.get_tdvmcall_info."
                                : leaf == kSetupEventNotify ? "tdx.setup_event_notify."
                                                            : "tdx.unknown.";
  keep_view(
      view, kept,
      {"tdx.unknown.", "tdx.get_quote.", "tdx.get_tdvmcall_info.", "tdx.setup_event_notify."});
  if (kept != "tdx.unknown.") return;  // vmx/tdx.c of 7.2 assigns all of each other view
  constexpr std::string_view kWhy = "no kernel is known that hands over this leaf";
  view.mark("tdx.unknown.data", Validity::kUnknown, kWhy);
  if (!view.moment.is_answer) view.mark("tdx.unknown.ret", Validity::kUnknown, kWhy);
}

void judge_x86_exit(const RuleView& view) {
  const Exit& exit = view.exit;
  switch (exit.reason) {
    case 0: {
      // handle_encls in vmx/sgx.c, tdx_handle_ept_misconfig in vmx/tdx.c: the only writers.
      constexpr uint64_t kEptMisconfig = 49, kEncls = 60;
      const uint64_t hardware = view.u64(0);
      if (hardware != kEptMisconfig && hardware != kEncls)
        view.mark("hw.hardware_exit_reason", Validity::kUnknown,
                  "x86 writes it for SGX and TDX only, and this is the number of neither");
      break;
    }
    case 2:
      judge_io(view);
      break;
    case 3:
      judge_hypercall(view);
      break;
    case 4:
      judge_x86_debug(view);
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
    case 27:
      judge_hyperv(view);
      break;
    case 29:
      view.mark_read("msr.data", kFilledByMonitor);
      break;
    case 34:
      judge_xen(view);
      break;
    case 40:
      judge_tdx(view);
      break;
    // 43: snp_handle_ext_guest_req of 7.2 svm/sev.c assigns all of the member, ret as well.
    default:
      break;
  }
}

}  // namespace

ArchRules x86_rules() { return {judge_x86_flags, judge_x86_header, judge_x86_exit}; }

}  // namespace kvmtape
