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
  const size_t core_bytes = core_words_ * kWordBytes;
  const std::span<const uint8_t> sync = kvm_run.subspan(core_bytes);
  std::array<uint64_t, kCoreWordsS390> now{};
  std::memcpy(now.data(), kvm_run.data(), core_bytes);
  uint64_t mask = 0;
  for (size_t i = 0; i < core_words_; ++i)
    mask |= uint64_t{keyframe_due_ || now[i] != shadow_[i]} << i;
  shadow_ = now;
  keyframe_due_ = false;

  const RecordKind kind = !is_answer   ? RecordKind::kExit
                          : exit_open_ ? RecordKind::kAnswer
                                       : RecordKind::kEntry;
  uint8_t flags = mask == core_mask_all(core_words_) ? kRecordKeyframe : 0;
  if (!sync.empty()) flags |= kRecordHasSync;
  const bool same = kind == RecordKind::kAnswer && !data.empty() &&
                    std::equal(data.begin(), data.end(), exit_data_.begin(), exit_data_.end());
  if (same) flags |= kRecordDataSame;
  if (kind == RecordKind::kExit) exit_data_.assign(data.begin(), data.end());
  exit_open_ = kind == RecordKind::kExit;

  const auto data_bytes = static_cast<uint32_t>(data.size());
  const size_t header_at = words.size();
  words.push_back(number(uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24 |
                         uint64_t{static_cast<uint32_t>(ret)} << 32));
  words.push_back(number(ticks));
  words.push_back(number(mask | uint64_t{data_bytes} << kDataBytesShift));
  for (; mask != 0; mask &= mask - 1)
    words.push_back(now[static_cast<size_t>(std::countr_zero(mask))]);
  if (!sync.empty()) append_sync(sync, words);
  if (!same && !data.empty()) {
    const size_t at = words.size();
    words.resize(at + data_words(data_bytes));
    std::memcpy(&words[at], data.data(), data.size());
  }
  words[header_at] |= number(words.size() - header_at);
  return kind;
}

void MomentWriter::append_sync(std::span<const uint8_t> sync, std::vector<uint64_t>& words) {
  std::array<uint64_t, kSyncWords> now;
  std::memcpy(now.data(), sync.data(), sizeof now);
  std::array<uint64_t, kSyncMasks> masks{};
  for (size_t i = 0; i < kSyncWords; ++i)
    masks[i / 64] |= uint64_t{now[i] != sync_shadow_[i]} << (i % 64);
  for (const uint64_t mask : masks) words.push_back(number(mask));
  for (size_t i = 0; i < kSyncWords; ++i)
    if (now[i] != sync_shadow_[i]) words.push_back(now[i]);
  sync_shadow_ = now;
}

}  // namespace kvmtape
