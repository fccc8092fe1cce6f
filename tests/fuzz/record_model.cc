#include "tests/fuzz/record_model.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "schema/base/check.h"

namespace kvmtape::fuzz {

static_assert(kHostByteOrder == ByteOrder::kLittle, "the fuzzers run on x86-64 and aarch64");

void RecordModel::add(std::span<const uint64_t> record) {
  const auto kind = static_cast<RecordKind>(record[0] >> 16 & 0xff);
  const uint64_t tsc = record[1];
  const auto payload = record.subspan(kRecordHeaderWords);
  switch (kind) {
    case RecordKind::kExit:
    case RecordKind::kAnswer:
    case RecordKind::kEntry:
      return add_moment(kind, record);
    case RecordKind::kGap:
      return add_gap(payload[1], static_cast<uint32_t>(payload[3]), tsc);
    case RecordKind::kBlockStart:
      if (payload[0] > next_seq_)
        add_gap(payload[0] - next_seq_, static_cast<uint64_t>(GapReason::kOverwritten), tsc);
      return;
    case RecordKind::kRepeat:
      if (payload.size() == sizeof(RepeatRecord) / kWordBytes) return add_repeat(payload, tsc);
      break;
    default:
      break;
  }
  add_side(kind, tsc, {payload.begin(), payload.end()});
}

void RecordModel::add_moment(RecordKind kind, std::span<const uint64_t> record) {
  const uint64_t flags = record[0] >> 24 & 0xff;
  const uint64_t tsc = record[1];
  const uint64_t mask = record[2] & kCoreMask;
  const size_t data_bytes = record[2] >> kDataBytesShift;
  const bool has_sync = (flags & kRecordHasSync) != 0;
  const bool data_same = (flags & kRecordDataSame) != 0;
  size_t at = kRecordHeaderWords + 1;
  for (uint32_t word = 0; word < kDataBytesShift; ++word)
    if ((mask >> word & 1) != 0) core_[word] = record[at++];
  if (has_sync) {
    const auto masks = record.subspan(at, kSyncMasks);
    at += kSyncMasks;
    for (uint32_t word = 0; word < 64 * kSyncMasks; ++word)
      if ((masks[word / 64] >> word % 64 & 1) != 0) sync_[word] = record[at++];
  }
  ModelMoment moment{tsc, {core_.begin(), core_.begin() + core_words_}, {}};
  if (has_sync) moment.kvm_run.insert(moment.kvm_run.end(), sync_.begin(), sync_.end());
  if (!data_same) {
    moment.data.resize(data_bytes);
    if (data_bytes != 0) std::memcpy(moment.data.data(), &record[at], data_bytes);
    at += (data_bytes + 7) / 8;
  }
  KVMTAPE_CHECK(at == record.size());
  if (kind == RecordKind::kExit) {
    ModelItem item;
    item.is_exit = true;
    item.seq = next_seq_++;
    item.ret = static_cast<int32_t>(record[0] >> 32);
    item.previous_tsc = previous_tsc_;
    exit_data_ = moment.data;
    item.exit = std::move(moment);
    items_.insert(items_.end(), held_.begin(), held_.end());
    held_.clear();
    open_exit_ = items_.size();
    items_.push_back(std::move(item));
    answer_open_ = true;
  } else if (kind == RecordKind::kAnswer && answer_open_ &&
             (!data_same || data_bytes == exit_data_.size())) {
    if (data_same) moment.data = exit_data_;
    items_[open_exit_].answer = std::move(moment);
    items_[open_exit_].has_answer = true;
    answer_open_ = false;
  } else {
    answer_open_ = false;
    std::vector<uint64_t> payload{core_mask_all(core_words_)};
    payload.insert(payload.end(), core_.begin(), core_.begin() + core_words_);
    add_side(RecordKind::kEntry, tsc, std::move(payload));
  }
  previous_tsc_ = tsc;
}

void RecordModel::add_repeat(std::span<const uint64_t> payload, uint64_t tsc) {
  const bool unanswered = (payload[1] & kRepeatUnanswered) != 0;
  const uint64_t last_tsc = payload[3];
  std::vector<uint64_t> folded(payload.begin(), payload.end());
  if (unanswered) {
    folded[1] = (payload[1] & ~kRepeatUnanswered) - 1;
    folded[3] = std::min(last_tsc, tsc);
  }
  if (!unanswered || folded[1] != 0) {
    next_seq_ += folded[1];
    answer_open_ = false;
    add_side(RecordKind::kRepeat, tsc, std::move(folded));
    previous_tsc_ = tsc;
  }
  if (!unanswered) return;
  ModelItem item;
  item.is_exit = true;
  item.seq = next_seq_++;
  item.previous_tsc = previous_tsc_;
  if (exit_data_.size() > kWordBytes) exit_data_.clear();
  item.exit = {last_tsc, {core_.begin(), core_.begin() + core_words_}, exit_data_};
  items_.insert(items_.end(), held_.begin(), held_.end());
  held_.clear();
  open_exit_ = items_.size();
  items_.push_back(std::move(item));
  answer_open_ = true;
  previous_tsc_ = last_tsc;
}

void RecordModel::add_side(RecordKind kind, uint64_t tsc, std::vector<uint64_t> payload) {
  ModelItem item;
  item.kind = kind;
  item.tsc = tsc;
  item.seq = next_seq_;
  item.belongs_to_exit = answer_open_;
  item.payload = std::move(payload);
  held_.push_back(std::move(item));
}

void RecordModel::add_gap(uint64_t lost, uint64_t why, uint64_t tsc) {
  answer_open_ = false;
  lost_total_ += lost;
  const uint64_t first = next_seq_;
  next_seq_ += lost;
  add_side(RecordKind::kGap, tsc, {first, lost, lost_total_, why});
  previous_tsc_ = 0;
}

std::vector<ModelItem> RecordModel::take() {
  items_.insert(items_.end(), held_.begin(), held_.end());
  held_.clear();
  answer_open_ = false;
  return std::exchange(items_, {});
}

}  // namespace kvmtape::fuzz
