#include "replayer/rewrite/record_writer.h"

#include <algorithm>
#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

// A record's own numbers are little-endian; the words of kvm_run are memory.
uint64_t number(uint64_t value) {
  uint64_t word = 0;
  store_le(&word, value);
  return word;
}

uint64_t header_word(RecordKind kind, uint8_t flags, int32_t ret, size_t words) {
  return number(words | uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24 |
                uint64_t{static_cast<uint32_t>(ret)} << 32);
}

void append_memory(std::span<const uint8_t> bytes, std::vector<uint64_t>& to) {
  const size_t at = to.size();
  to.resize(at + data_words(static_cast<uint32_t>(bytes.size())));
  if (!bytes.empty()) std::memcpy(to.data() + at, bytes.data(), bytes.size());
}

}  // namespace

void RecordWriter::add(const RecordedExit& exit) {
  finish();
  append_moment(RecordKind::kExit, exit, words_);
  if (exit.has_answer) append_moment(RecordKind::kAnswer, exit, answer_);
}

void RecordWriter::add(const SideRecord& side) {
  if (!side.belongs_to_exit) finish();
  words_.push_back(header_word(side.kind, side.flags, side.ret,
                               kRecordHeaderWords + side.payload.size() / kWordBytes));
  words_.push_back(number(side.tsc));
  append_memory(side.payload, words_);
}

void RecordWriter::finish() {
  words_.insert(words_.end(), answer_.begin(), answer_.end());
  answer_.clear();
}

// A keyframe: the encoder finds out by itself what changed.
void RecordWriter::append_moment(RecordKind kind, const RecordedExit& exit,
                                 std::vector<uint64_t>& to) {
  const bool is_answer = kind == RecordKind::kAnswer;
  const auto kvm_run = is_answer ? exit.answer_kvm_run : exit.kvm_run;
  const auto data = is_answer ? exit.answer_data : exit.data;
  const size_t core_bytes = size_t{core_words_} * kWordBytes;
  const bool has_sync = kvm_run.size() > core_bytes;
  const bool data_same = is_answer && std::ranges::equal(data, exit.data);
  const size_t start = to.size();
  to.resize(start + kRecordHeaderWords);
  to.push_back(number(core_mask_all(core_words_) | uint64_t{data.size()} << kDataBytesShift));
  append_memory(kvm_run.first(core_bytes), to);
  if (has_sync) append_sync(kvm_run.subspan(core_bytes), to);
  if (!data_same) append_memory(data, to);
  const auto flags = static_cast<uint8_t>(kRecordKeyframe | (has_sync ? kRecordHasSync : 0) |
                                          (data_same ? kRecordDataSame : 0));
  to[start] = header_word(kind, flags, is_answer ? 0 : exit.ret, to.size() - start);
  to[start + 1] = number(is_answer ? exit.answer_tsc : exit.tsc);
}

void RecordWriter::append_sync(std::span<const uint8_t> sync, std::vector<uint64_t>& to) {
  const size_t masks_at = to.size();
  to.resize(masks_at + kSyncMasks);
  std::array<uint64_t, kSyncMasks> masks{};
  for (size_t i = 0; i < kSyncWords; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, sync.data() + i * kWordBytes, kWordBytes);
    if (word == sync_[i]) continue;
    masks[i / 64] |= uint64_t{1} << i % 64;
    sync_[i] = word;
    to.push_back(word);
  }
  for (size_t i = 0; i < kSyncMasks; ++i) to[masks_at + i] = number(masks[i]);
}

}  // namespace kvmtape
