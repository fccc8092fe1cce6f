#include "recorder/import/moment_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

uint64_t number(uint64_t value) {
  return kHostByteOrder == ByteOrder::kLittle ? value : byte_swapped(value);
}

}  // namespace

RecordKind MomentWriter::append(bool is_answer, int32_t ret, uint64_t ticks,
                                std::span<const uint8_t> kvm_run, std::span<const uint8_t> data,
                                std::vector<uint64_t>& words) {
  std::array<uint64_t, kCoreWords> now;
  std::memcpy(now.data(), kvm_run.data(), sizeof now);
  uint64_t mask = 0;
  for (size_t i = 0; i < kCoreWords; ++i)
    mask |= uint64_t{keyframe_due_ || now[i] != shadow_[i]} << i;
  shadow_ = now;
  keyframe_due_ = false;

  const RecordKind kind = !is_answer   ? RecordKind::kExit
                          : exit_open_ ? RecordKind::kAnswer
                                       : RecordKind::kEntry;
  uint8_t flags = mask == core_mask_all(kCoreWords) ? kRecordKeyframe : 0;
  const bool same = kind == RecordKind::kAnswer && !data.empty() &&
                    std::equal(data.begin(), data.end(), exit_data_.begin(), exit_data_.end());
  if (same) flags |= kRecordDataSame;
  if (kind == RecordKind::kExit) exit_data_.assign(data.begin(), data.end());
  exit_open_ = kind == RecordKind::kExit;

  const auto data_bytes = static_cast<uint32_t>(data.size());
  const uint32_t count = kRecordHeaderWords + 1 + static_cast<uint32_t>(std::popcount(mask)) +
                         (same ? 0 : data_words(data_bytes));
  words.push_back(number(count | uint64_t{static_cast<uint8_t>(kind)} << 16 |
                         uint64_t{flags} << 24 | uint64_t{static_cast<uint32_t>(ret)} << 32));
  words.push_back(number(ticks));
  words.push_back(number(mask | uint64_t{data_bytes} << kDataBytesShift));
  for (; mask != 0; mask &= mask - 1)
    words.push_back(now[static_cast<size_t>(std::countr_zero(mask))]);
  if (same) return kind;
  const size_t at = words.size();
  words.resize(at + data_words(data_bytes));
  if (!data.empty()) std::memcpy(&words[at], data.data(), data.size());
  return kind;
}

}  // namespace kvmtape
