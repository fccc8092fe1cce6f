// KVM_EXIT_SYSTEM_EVENT and its layouts:
//   type, padding, flags      up to 5.17
//   type, ndata, data[16]     since 5.18 (d495f942f40a), which KVM_CAP_SYSTEM_EVENT_DATA announces
//   type with bit 31, ndata   in kvm/next of April 2022 only (c24a950ec7d6), in no release
// The tables have the first two; the constructor of ExitDecoder picks by capability, then release.
#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

constexpr uint32_t kNdataValid = 0x80000000;  // KVM_SYSTEM_EVENT_NDATA_VALID of kvm/next
constexpr uint32_t kReset = 2;
constexpr uint32_t kEventWordsMax = 16;
constexpr uint64_t kPsciReset2 = 1;

void judge_data(const RuleView& view, uint32_t valid_elements) {
  for (const Field& field : view.fields())
    if (field.name == "system_event.data" && field.element >= static_cast<int>(valid_elements))
      view.mark(field, Validity::kStale, "beyond system_event.ndata");
}

// arm64 5.18-rc1 to rc4 and Android kernels wrote the flag of SYSTEM_RESET2 without ndata, into a
// member that they had zeroed (34739fd95fab; d495f942f40a tells the story).
bool is_reset2_without_ndata(const RuleView& view, uint32_t type, uint32_t ndata) {
  return view.kernel.context.architecture == Architecture::kAarch64 && type == kReset &&
         ndata == 0 && view.u64(8) == kPsciReset2;
}

void name_first_word(const RuleView& view, uint32_t type) {
  if (view.kernel.context.architecture != Architecture::kAarch64 || view.u64(8) != 1) return;
  std::string_view name;
  if (type == kReset) name = "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2";
  if (type == 1) name = "KVM_SYSTEM_EVENT_SHUTDOWN_FLAG_PSCI_OFF2";
  if (name.empty()) return;
  for (const Field& field : view.fields()) {
    if (field.validity != Validity::kValid) continue;
    if (field.name == "system_event.flags" ||
        (field.name == "system_event.data" && field.element == 0)) {
      view.edit(field).kind = FieldKind::kEnumerated;
      view.edit(field).value_name = name;
    }
  }
}

void judge_new_layout(const RuleView& view, uint32_t type, uint32_t ndata) {
  if (ndata > kEventWordsMax) {
    view.mark("system_event.ndata", Validity::kUnknown, "more than the 16 words that there are");
    return view.mark("system_event.data", Validity::kUnknown,
                     "system_event.ndata is more than the 16 words that there are");
  }
  judge_data(view, is_reset2_without_ndata(view, type, ndata) ? 1 : ndata);
}

void judge_old_layout(const RuleView& view) {
  // arm64 and riscv clear the member first (kvm_prepare_system_event in 5.10 psci.c,
  // kvm_riscv_vcpu_sbi_system_reset); x86 writes type alone (5.10 x86.c, vcpu_enter_guest).
  if (view.kernel.is_x86())
    view.mark("system_event.flags", Validity::kStale,
              "x86 kernels before 5.18 write only the type");
}

void judge_either_layout(const RuleView& view, uint32_t type, uint32_t ndata) {
  const auto& version = view.kernel.context.kernel;
  const std::string_view why =
      !version
          ? "neither the kernel nor capability 215 is known: this may be the layout before 5.18"
      : version->rebased
          ? "kernels of the .elN kind take over parts of later ones, and capability 215 is not "
            "known: this may be the layout before 5.18 or that of it"
          : "release candidates of 5.18 have the layout before it or that of the release, and "
            "capability 215 is not known";
  const bool old_zeroes = !view.kernel.is_x86();
  if (!is_reset2_without_ndata(view, type, ndata))  // means the same in both, which share offset 8
    view.mark("system_event.flags", Validity::kUnknown, why);
  if (old_zeroes && ndata != 0) {  // the old layout has zero padding here
    view.drop("system_event.flags");
    return judge_new_layout(view, type, ndata);
  }
  view.mark("system_event.ndata", Validity::kUnknown, why);
  view.mark("system_event.data", Validity::kUnknown, why);
}

}  // namespace

void judge_system_event(const RuleView& view) {
  const uint32_t type = view.u32(0);
  const uint32_t ndata = view.u32(4);
  if ((type & kNdataValid) != 0) {
    constexpr std::string_view kWhy =
        "bit 31 of the type: an unreleased kernel of April 2022, whose data began at offset 8 or "
        "16";
    view.mark("system_event.flags", Validity::kUnknown, kWhy);
    view.mark("system_event.data", Validity::kUnknown, kWhy);
    if (ndata > kEventWordsMax) view.mark("system_event.ndata", Validity::kUnknown, kWhy);
    return;
  }
  switch (view.kernel.system_event_ndata) {
    case Known::kYes:
      judge_new_layout(view, type, ndata);
      break;
    case Known::kNo:
      judge_old_layout(view);
      break;
    case Known::kMaybe:
      judge_either_layout(view, type, ndata);
      break;
  }
  name_first_word(view, type);
}

}  // namespace kvmtape
