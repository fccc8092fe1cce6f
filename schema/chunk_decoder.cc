#include "schema/chunk_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "schema/chunk_columns.h"
#include "schema/chunk_message.h"
#include "schema/column_reader.h"
#include "schema/file_order.h"
#include "schema/record_words.h"
#include "schema/sync_area.h"
#include "schema/tick_columns.h"

namespace kvmtape {

struct ChunkDecoder::State {
  ChunkHeader header{};
  ChunkMessage message;
  ColumnReader reader{header, message};
  ChunkColumns columns;
  GroupedWords exit_words, answer_words;
  std::vector<uint64_t> guest_ticks, monitor_ticks;  // of summarize()

  // The walk.
  // `image` follows every change; `exit_image` is what the exit at hand points to. Bringing it up
  // to date word by word is quicker than a copy, which would have to wait for the words just
  // stored.
  std::array<uint64_t, kRunWordsMax> image{}, exit_image{};
  uint64_t behind = 0;       // words of exit_image that are not image's
  bool is_run_seen = false;  // image is what the next KVM_RUN finds
  size_t exit_index = 0, answer_index = 0, escape_index = 0, data_at = 0, sync_at = 0, side_at = 0;
  uint64_t tsc = 0;
  uint64_t seq = 0;
  uint64_t folded_left = 0, lost_left = 0;  // of what the header has room for in repeats and gaps
  RecordedExit exit;
  SideRecord side_record;
  Error error;

  bool take_ticks(const std::vector<uint32_t>& column, size_t at, uint64_t& ticks) {
    return kvmtape::take_ticks(column, at, columns.tick_escapes, escape_index, ticks);
  }
  bool take_sync();
  bool take_data(uint64_t bytes, std::span<const uint8_t>& taken) {
    if (bytes > columns.data.size() - data_at) return false;
    taken = std::span(columns.data).subspan(data_at, bytes);
    data_at += bytes;
    return true;
  }
  std::span<const uint64_t> side_record_at(size_t at) const;
  bool taken_follows() const;
  const char* take_side();  // nullptr: taken; else what is wrong with it
  bool take_exit();
};

bool ChunkDecoder::State::take_sync() {
  const std::span<const uint64_t> rest = std::span(columns.sync_words).subspan(sync_at);
  const size_t words = sync_part_words(rest);
  if (words == 0) return false;
  apply_sync(rest.first(words), &image[message.core_words]);
  sync_at += words;
  return true;
}

bool ChunkDecoder::State::take_exit() {
  const size_t i = exit_index;
  const uint64_t mask_word = columns.masks[2 * size_t{columns.exit_masks[i]}];
  const uint64_t mask_flags = columns.masks[2 * size_t{columns.exit_masks[i]} + 1];
  for (uint64_t mask = mask_word & kCoreMask; mask != 0; mask &= mask - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(mask));
    image[word] = *exit_words.next[word]++;
  }
  const uint64_t found = image[kReasonWord];
  image[kReasonWord] = join_reason_word({columns.reasons[i], columns.ready[i], columns.flags[i]},
                                        message.stream.byte_order);
  behind |= (mask_word & kCoreMask) | uint64_t{1} << kReasonWord;
  exit.reason_is_new =
      is_run_seen && std::memcmp(&found, &image[kReasonWord], sizeof exit.reason) != 0;
  exit.seq = seq++;
  exit.ret = static_cast<int32_t>(0u - columns.errnos[i]);
  exit.reason = columns.reasons[i];
  if (columns.guest[i] == kTickAbsolute) tsc = 0;
  exit.previous_tsc = tsc;
  uint64_t ticks = 0;
  if (!take_ticks(columns.guest, i, ticks)) return false;
  tsc += ticks;
  exit.tsc = tsc;
  const bool exit_sync = (mask_flags & kRecordHasSync) != 0;
  if ((exit_sync && !take_sync()) || !take_data(mask_word >> kDataBytesShift, exit.data))
    return false;
  const size_t words = message.core_words + (exit_sync ? kSyncWords : 0);
  for (; behind != 0; behind &= behind - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(behind));
    exit_image[word] = image[word];
  }
  if (exit_sync)
    std::copy_n(&image[message.core_words], kSyncWords, &exit_image[message.core_words]);
  exit.kvm_run = {reinterpret_cast<const uint8_t*>(exit_image.data()), words * kWordBytes};

  is_run_seen = exit.has_answer = columns.answer_masks[i] != 0;
  exit.answer_kvm_run = {};
  exit.answer_data = {};
  exit.answer_tsc = 0;
  ++exit_index;
  if (!exit.has_answer) return true;
  const uint64_t answer_word = columns.masks[2 * size_t{columns.answer_masks[i] - 1}];
  const uint64_t answer_flags = columns.masks[2 * size_t{columns.answer_masks[i] - 1} + 1];
  for (uint64_t mask = answer_word & kCoreMask; mask != 0; mask &= mask - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(mask));
    image[word] = *answer_words.next[word]++;
  }
  behind |= answer_word & kCoreMask;
  if (!take_ticks(columns.monitor, answer_index++, ticks)) return false;
  tsc += ticks;
  exit.answer_tsc = tsc;
  const bool answer_sync = (answer_flags & kRecordHasSync) != 0;
  if (answer_sync && !take_sync()) return false;
  if ((answer_flags & kRecordDataSame) != 0)
    exit.answer_data = exit.data;
  else if (!take_data(answer_word >> kDataBytesShift, exit.answer_data))
    return false;
  exit.answer_kvm_run = {reinterpret_cast<const uint8_t*>(image.data()),
                         (message.core_words + (answer_sync ? kSyncWords : 0)) * kWordBytes};
  return true;
}

// The record behind a position; empty: it does not hold together.
std::span<const uint64_t> ChunkDecoder::State::side_record_at(size_t at) const {
  const std::span<const uint64_t> rest = std::span(columns.side).subspan(at);
  if (rest.size() < 1 + kRecordHeaderWords) return {};
  const size_t length = record_words(number(rest[1]));
  if (length < kRecordHeaderWords || length > rest.size() - 1) return {};
  return rest.subspan(1, length);
}

bool ChunkDecoder::State::taken_follows() const {
  const auto record = side_record_at(side_at);
  if (record.empty() || exit_index == 0) return false;
  // Recorders put them in front of the answer, as 2i + 1; behind it they are the exit's, too.
  const uint64_t position = number(columns.side[side_at]);
  if (position + 1 != 2 * exit_index && position != 2 * exit_index) return false;
  const RecordKind kind = record_kind(number(record[0]));
  return kind == RecordKind::kRegisters || kind == RecordKind::kMemorySlice;
}

const char* ChunkDecoder::State::take_side() {
  constexpr const char* kShape = "a record between the exits does not hold together";
  std::span<const uint64_t> record = side_record_at(side_at);
  if (record.empty()) return kShape;
  const uint64_t position = number(columns.side[side_at]);
  const uint64_t first = number(record[0]);
  side_at += 1 + record.size();
  side_record.kind = record_kind(first);
  side_record.flags = record_flags(first);
  side_record.ret = record_ret(first);
  side_record.tsc = number(record[1]);
  side_record.belongs_to_exit = position % 2 == 1;
  record = record.subspan(kRecordHeaderWords);
  side_record.payload = {reinterpret_cast<const uint8_t*>(record.data()),
                         record.size() * kWordBytes};
  uint64_t advance = 0;
  if (side_record.kind == RecordKind::kGap) {
    if (record.size() != sizeof(GapRecord) / kWordBytes || number(record[0]) != seq) return kShape;
    advance = number(record[1]);
    if (advance > lost_left) return "a gap holds more exits than the chunk says were lost";
    lost_left -= advance;
    is_run_seen = false;
  } else if (side_record.kind == RecordKind::kRepeat) {
    if (record.size() == sizeof(RepeatRecord) / kWordBytes) {
      advance = number(record[1]);
      if (advance > folded_left)
        return "a repeat folds more exits than the chunk has sequences for";
      folded_left -= advance;
      tsc = side_record.tsc;
    }
  } else if (side_record.kind == RecordKind::kEntry) {
    if (record.size() != 1 + size_t{message.core_words}) return kShape;
    std::copy(record.begin() + 1, record.end(), image.begin());
    behind = core_mask_all(message.core_words);
    is_run_seen = true;
    tsc = side_record.tsc;
  }
  seq += advance;
  side_record.next_seq = seq;
  return nullptr;
}

ChunkDecoder::ChunkDecoder() : state_(std::make_unique<State>()) {}
ChunkDecoder::~ChunkDecoder() = default;
ChunkDecoder::ChunkDecoder(ChunkDecoder&&) noexcept = default;
ChunkDecoder& ChunkDecoder::operator=(ChunkDecoder&&) noexcept = default;

Result<void> ChunkDecoder::open(std::span<const uint8_t> chunk) {
  if (chunk.size() < sizeof(ChunkHeader)) return corrupt_chunk("no chunk header");
  state_->header = load_file_struct<ChunkHeader>(chunk.data());
  const ChunkHeader& header = state_->header;
  if (header.exits > kChunkExitsMax) return corrupt_chunk("more exits than a chunk may hold");
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      uint64_t{header.header_bytes} + header.body_bytes > chunk.size())
    return corrupt_chunk("the chunk is longer than its bytes");
  const uint64_t sequences = header.end_seq - header.first_seq;
  if (header.end_seq < header.first_seq || header.exits > sequences)
    return corrupt_chunk("the chunk has more exits than sequences");
  ChunkMessage& message = state_->message;
  message.stream.vcpu_index = header.vcpu_index;
  KVMTAPE_TRY(read_exits_message(chunk.subspan(header.header_bytes, header.body_bytes), message));
  if (message.lost > sequences - header.exits)
    return corrupt_chunk("more exits were lost in the chunk than it has sequences left");
  return {};
}

const ChunkHeader& ChunkDecoder::header() const { return state_->header; }
const StreamDescription& ChunkDecoder::stream() const { return state_->message.stream; }
const ClockReading& ChunkDecoder::clock() const { return state_->message.clock; }
uint64_t ChunkDecoder::ticks_per_second() const { return state_->message.ticks_per_second; }
uint64_t ChunkDecoder::lost() const { return state_->message.lost; }
uint64_t ChunkDecoder::lost_total() const { return state_->message.lost_total; }
uint64_t ChunkDecoder::previous_tsc() const { return state_->message.previous_tsc; }

Result<ChunkDecoder::Summary> ChunkDecoder::summarize() {
  State& state = *state_;
  KVMTAPE_TRY(state.reader.read_times(state.columns));
  KVMTAPE_TRY(state.reader.check_rest(state.columns));
  const size_t count = state.header.exits;
  state.guest_ticks.resize(count);
  state.monitor_ticks.resize(count);
  state.escape_index = 0;
  size_t answer = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t ticks = 0;
    if (!state.take_ticks(state.columns.guest, i, ticks)) return corrupt_chunk("a time is missing");
    // An exit that was not answered says nothing of when the guest ran again.
    const bool entered = state.columns.guest[i] != kTickAbsolute &&
                         (i == 0 || state.columns.answer_masks[i - 1] != 0);
    state.guest_ticks[i] = entered ? ticks : kNoTicks;
    state.monitor_ticks[i] = kNoTicks;
    if (state.columns.answer_masks[i] == 0) continue;
    if (!state.take_ticks(state.columns.monitor, answer++, ticks))
      return corrupt_chunk("a time is missing");
    state.monitor_ticks[i] = ticks;
  }
  return Summary{state.columns.reasons, state.columns.errnos, state.guest_ticks,
                 state.monitor_ticks};
}

Result<void> ChunkDecoder::begin() {
  State& state = *state_;
  const ChunkHeader& header = state.header;
  state.lost_left = state.message.lost;
  state.folded_left = header.end_seq - header.first_seq - header.exits - state.lost_left;
  KVMTAPE_TRY(state.reader.read_times(state.columns));
  KVMTAPE_TRY(state.reader.read_rest(state.columns, state.exit_words, state.answer_words));
  state.image.fill(0);
  state.exit_image.fill(0);
  state.behind = 0;
  state.is_run_seen = false;
  state.exit_index = state.answer_index = state.escape_index = 0;
  state.data_at = state.sync_at = state.side_at = 0;
  state.tsc = state.message.previous_tsc;
  state.seq = state.header.first_seq;
  return {};
}

ChunkDecoder::Item ChunkDecoder::next() {
  State& state = *state_;
  auto corrupt = [&](const char* message) {
    state.error = corrupt_chunk(message);
    return Item::kCorrupt;
  };
  if (state.side_at < state.columns.side.size()) {
    const uint64_t position = number(state.columns.side[state.side_at]);
    if (position / 2 + position % 2 <= state.exit_index || state.exit_index >= state.header.exits) {
      const char* const wrong = state.take_side();
      return wrong == nullptr ? Item::kSide : corrupt(wrong);
    }
  }
  if (state.exit_index >= state.header.exits)
    return state.seq == state.header.end_seq
               ? Item::kEnd
               : corrupt("the chunk's records do not add up to its last sequence");
  return state.take_exit() ? Item::kExit
                           : corrupt("the columns of the chunk contradict each other");
}

bool ChunkDecoder::taken_follows() const { return state_->taken_follows(); }
const RecordedExit& ChunkDecoder::exit() const { return state_->exit; }
const SideRecord& ChunkDecoder::side() const { return state_->side_record; }
const Error& ChunkDecoder::error() const { return state_->error; }

}  // namespace kvmtape
