// KVM_EXIT_INTERNAL_ERROR: suberror, ndata, data[16], and the emulation_failure view of them.
#include "replayer/exit_rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint32_t kInternalWordsMax = 16;
constexpr uint64_t kFlagInstructionBytes = 1;
constexpr uint8_t kInsnBytesMax = 15;

// c88339d88b0a (5.14) put flags into data[0] and, flagged, the instruction into data[1] and [2].
// Some paths of every later kernel still report ndata 0; a kernel before it always does. So ndata
// alone tells that these words are there where the kernel is not known.
void judge_emulation_failure(const RuleView& view, uint32_t ndata) {
  if (ndata >= 1 && view.kernel.since(5, 14) == Known::kMaybe)
    for (const Field& field : view.fields())
      if (field.name.starts_with("emulation_failure.") && field.bytes != 0)
        view.judge(field, Validity::kValid, {});
  if (ndata >= 1 && view.kernel.since(5, 14) == Known::kNo)
    for (const Field& field : view.fields())
      if (field.name.starts_with("emulation_failure.") && field.bytes != 0)
        view.judge(field, Validity::kUnknown,
                   "internal.ndata says that it is there, but this kernel is said to be older than "
                   "5.14, which brought it: a backport, or garbage");
  if (ndata < 1)
    view.mark("emulation_failure.flags", Validity::kStale,
              "internal.ndata is 0: this path does not describe the failure");
  const bool flagged = ndata >= 3 && (view.u64(8) & kFlagInstructionBytes) != 0;
  const bool fits = view.u8(16) <= kInsnBytesMax;
  for (const Field& field : view.fields()) {
    const bool size = field.name == "emulation_failure.insn_size";
    if (!size && field.name != "emulation_failure.insn_bytes") continue;
    if (!flagged)
      view.mark(field, Validity::kStale,
                "valid with internal.ndata >= 3 and the INSTRUCTION_BYTES flag only");
    else if (!fits)
      view.mark(field, Validity::kUnknown, "emulation_failure.insn_size is more than 15");
    else if (!size && field.bytes != 0)
      view.edit(field).bytes = view.u8(16);  // the rest is filled with 0x90
  }
}

// 6.12 and 7.2: kvmppc_handle_vsx_load and its like (powerpc.c) write the suberror alone,
// kvmppc_handle_exit_hv (book3s_hv.c) a trap into hw.hardware_exit_reason, which is the same bytes,
// book3s_pr.c and booke.c nothing.
void judge_ppc(const RuleView& view) {
  view.mark("internal.suberror", Validity::kUnknown,
            "ppc writes KVM_INTERNAL_ERROR_EMULATION here, or the number of a trap, or nothing");
  for (std::string_view name : {"internal.ndata", "internal.data"})
    view.mark(name, Validity::kStale, "ppc does not write it");
}

}  // namespace

void judge_internal_error(const RuleView& view) {
  if (view.kernel.context.architecture == Architecture::kPpc64) return judge_ppc(view);
  if (!view.kernel.is_x86()) {
    for (std::string_view name : {"internal.suberror", "internal.ndata", "internal.data"})
      view.mark(name, Validity::kStale, "this architecture's KVM does not fill in struct internal");
    return;
  }
  const uint32_t suberror = view.u32(0);
  const uint32_t ndata = view.u32(4);
  if (ndata > kInternalWordsMax) {
    constexpr std::string_view kWhy = "internal.ndata is more than the 16 words that there are";
    view.mark("internal.ndata", Validity::kUnknown, kWhy);
    view.mark("internal.data", Validity::kUnknown, kWhy);
    view.mark("emulation_failure.flags", Validity::kUnknown, kWhy);
    view.mark("emulation_failure.insn_size", Validity::kUnknown, kWhy);
    view.mark("emulation_failure.insn_bytes", Validity::kUnknown, kWhy);
  } else {
    for (const Field& field : view.fields())
      if (field.name == "internal.data" && field.element >= static_cast<int>(ndata))
        view.mark(field, Validity::kStale, "beyond internal.ndata");
    judge_emulation_failure(view, ndata);
  }
  if (suberror != kSuberrorEmulation) view.drop("emulation_failure.");
}

}  // namespace kvmtape
