// Port I/O, whose data lies outside struct kvm_run, and MMIO-like accesses of up to eight bytes.
#include <algorithm>

#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

constexpr uint8_t kExitIoOut = 1;
constexpr size_t kDataBytesOfMmio = 8;

}  // namespace

void judge_io(const RuleView& view) {
  const bool is_out = view.u8(0) == kExitIoOut;
  const uint64_t size = view.u8(1);
  const uint64_t count = view.u32(4);
  const uint64_t data_offset = view.u64(8);
  const uint32_t page_bytes = view.kernel.context.page_bytes;
  const uint64_t wanted = size * count;  // 8 and 32 bits: cannot overflow

  Field* const appended = view.append();
  if (appended == nullptr) return;
  Field& data = *appended;
  data.name = "io.data";
  data.in_data = true;
  data.kind = FieldKind::kBytes;
  data.validity = Validity::kValid;
  data.bytes =
      static_cast<uint16_t>(std::min<uint64_t>({wanted, view.moment.data.size(), kDataBytesMax}));

  // KVM_PIO_PAGE_OFFSET is 1 in arch/x86/include/asm/kvm_host.h of all versions.
  if (page_bytes != 0 && data_offset != page_bytes)
    return view.mark(data, Validity::kUnknown, "io.data_offset is not the page behind kvm_run");
  if (wanted > kDataBytesMax)
    return view.mark(data, Validity::kUnknown, "io.size times io.count is more than a page");
  if (data.bytes < wanted)
    return view.mark(data, Validity::kUnknown, "not all bytes at io.data_offset were recorded");
  if (!is_out && !view.moment.is_answer) view.mark(data, Validity::kStale, kFilledByMonitor);
}

void judge_mmio(const RuleView& view, std::string_view data, std::string_view len, bool is_write) {
  for (const Field& field : view.fields()) {
    if (field.name != data || field.bytes == 0) continue;
    const uint32_t bytes = view.u32(16);
    if (bytes > kDataBytesOfMmio) {
      view.mark(field, Validity::kUnknown, "the access is said to be of more than eight bytes");
      view.mark(len, Validity::kUnknown, "the access is said to be of more than eight bytes");
      continue;
    }
    if (field.bytes != bytes) view.edit(field).bytes = static_cast<uint16_t>(bytes);
    if (!is_write && !view.moment.is_answer) view.mark(field, Validity::kStale, kFilledByMonitor);
  }
}

}  // namespace kvmtape
