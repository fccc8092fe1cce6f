// Port I/O, whose data lies outside struct kvm_run, and MMIO-like accesses of up to eight bytes.
#include <algorithm>

#include "replayer/exit_rules.h"

namespace kvmtape {
namespace {

constexpr uint8_t kExitIoOut = 1;
constexpr size_t kDataBytesOfMmio = 8;
constexpr std::string_view kElsewhere = "io.data_offset is not the page behind kvm_run";
constexpr std::string_view kMoreThanAPage = "io.size times io.count is more than a page";

// What no kernel writes: kvm_fast_pio, emulator_pio_in_out and sev_es_string_io of x86.c set a
// direction of 0 or 1, a size of 1, 2 or 4, a count of at least 1 whose bytes fit the page, and
// KVM_PIO_PAGE_OFFSET * PAGE_SIZE. KVM_PIO_PAGE_OFFSET is 1 in asm/kvm_host.h of all versions.
// True: none of it is there.
bool judge_io_values(const RuleView& view, uint64_t wanted, bool is_behind_kvm_run) {
  const uint8_t size = view.u8(1);
  const uint32_t count = view.u32(4);
  const bool has_direction = view.u8(0) <= kExitIoOut;
  if (!has_direction)
    view.mark("io.direction", Validity::kUnknown, "neither KVM_EXIT_IO_IN nor KVM_EXIT_IO_OUT");
  const bool has_size = size == 1 || size == 2 || size == 4;
  if (!has_size)
    view.mark("io.size", Validity::kUnknown, "no port access is of this size, only of 1, 2 or 4");
  if (count == 0)
    view.mark("io.count", Validity::kUnknown, "0: KVM does not exit for an empty access");
  else if (has_size && wanted > kDataBytesMax)
    view.mark("io.count", Validity::kUnknown, kMoreThanAPage);
  if (!is_behind_kvm_run) view.mark("io.data_offset", Validity::kUnknown, kElsewhere);
  return has_direction && has_size && count != 0;
}

}  // namespace

void judge_io(const RuleView& view) {
  const bool is_out = view.u8(0) == kExitIoOut;
  const uint64_t size = view.u8(1);
  const uint64_t count = view.u32(4);
  const uint64_t data_offset = view.u64(8);
  constexpr uint32_t kX86PageBytes = 4096;  // only x86 has ports
  const uint32_t said = view.kernel.context.page_bytes;
  const uint32_t page_bytes = said == 0 ? kX86PageBytes : said;
  const uint64_t wanted = size * count;  // 8 and 32 bits: cannot overflow
  const bool is_behind_kvm_run = data_offset == page_bytes;
  const bool is_possible = judge_io_values(view, wanted, is_behind_kvm_run);

  Field* const appended = view.append();
  if (appended == nullptr) return;
  Field& data = *appended;
  data.name = "io.data";
  data.in_data = true;
  data.kind = FieldKind::kBytes;
  data.validity = Validity::kValid;
  data.bytes =
      static_cast<uint16_t>(std::min<uint64_t>({wanted, view.moment.data.size(), kDataBytesMax}));

  if (!is_behind_kvm_run) return view.mark(data, Validity::kUnknown, kElsewhere);
  if (wanted > kDataBytesMax) return view.mark(data, Validity::kUnknown, kMoreThanAPage);
  if (!is_possible)
    return view.mark(data, Validity::kUnknown,
                     "io.direction, io.size or io.count is none that KVM writes");
  if (data.bytes < wanted)
    return view.mark(data, Validity::kUnknown, "not all bytes at io.data_offset were recorded");
  if (!is_out && !view.moment.is_answer) view.mark(data, Validity::kStale, kFilledByMonitor);
}

void judge_access(const RuleView& view, const AccessFields& names) {
  const uint32_t len = view.u32(16);
  const uint8_t is_write = view.u8(20);
  std::string_view why;
  if (len == 0 || len > kDataBytesOfMmio) {
    why = "no kernel writes this: an access is of 1 to 8 bytes";
    view.mark(names.len, Validity::kUnknown, why);
  }
  if (is_write > 1) {
    why = "no kernel writes this: 0 is a read, 1 a write";
    view.mark(names.is_write, Validity::kUnknown, why);
  }
  for (const Field& field : view.fields()) {
    if (field.name != names.data || field.bytes == 0) continue;
    if (!why.empty()) {
      view.mark(field, Validity::kUnknown, "its length or its direction is none that KVM writes");
      continue;
    }
    if (field.bytes != len) view.edit(field).bytes = static_cast<uint16_t>(len);
    if (is_write == 0 && !view.moment.is_answer)
      view.mark(field, Validity::kStale, kFilledByMonitor);
  }
}

}  // namespace kvmtape
