#include "schema/chunk_encoder_state.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "schema/chunk_message.h"

namespace kvmtape {
namespace {

// Of a kRepeat record: its last exit waits for its answer, or got another than those before.
bool is_unanswered_repeat(std::span<const uint64_t> record) {
  return record.size() == kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes &&
         (number(record[3]) & kRepeatUnanswered) != 0;
}

// Whether the answer to the exit at words[at] (or what shows that none will come) stands in
// `words`.
bool exit_is_complete(std::span<const uint64_t> words, size_t at) {
  for (at += record_words(number(words[at])); at < words.size();) {
    const uint64_t first = number(words[at]);
    const size_t length = record_words(first);
    if (length < kRecordHeaderWords || length > words.size() - at) return true;
    switch (record_kind(first)) {
      case RecordKind::kExit:
      case RecordKind::kAnswer:
      case RecordKind::kEntry:
      case RecordKind::kGap:
      case RecordKind::kRepeat:
        return true;
      default:
        at += length;
    }
  }
  return false;
}

}  // namespace

// Position 2n: before exit n of this chunk; 2n + 1: between exit n and its answer.
void ChunkEncoder::State::add_side(std::span<const uint64_t> record, uint64_t tsc) {
  begin_if_empty();
  columns.side.push_back(number(2 * exits.size() - (answer_open ? 1 : 0)));
  columns.side.insert(columns.side.end(), record.begin(), record.end());
  if (first_tsc == 0) first_tsc = tsc;
  raw_bytes += (record.size() + 1) * kWordBytes;
}

// An answer without an exit: its changes are relative to what this chunk's reader may not have.
[[gnu::noinline]] void ChunkEncoder::State::add_entry(MomentRecord moment, uint64_t tsc) {
  begin_if_empty();
  (void)image.apply_core(moment.mask, moment.core.data());
  if (!moment.sync.empty()) image.apply_untold_sync(moment.sync);
  std::vector<uint64_t> record;
  record.push_back(
      record_first_word(kRecordHeaderWords + 1 + core_words, RecordKind::kEntry, kRecordKeyframe));
  record.push_back(number(tsc));
  record.push_back(number(core_mask_all(core_words)));
  record.insert(record.end(), image.core().begin(), image.core().end());
  answer_open = false;
  add_side(record, tsc);
  note_time(tsc);
}

void ChunkEncoder::State::add_gap(uint64_t gap_lost, GapReason why, uint64_t tsc) {
  lost_total += gap_lost;
  const uint64_t record[] = {
      record_first_word(kRecordHeaderWords + sizeof(GapRecord) / kWordBytes, RecordKind::kGap),
      number(tsc),
      number(next_seq),
      number(gap_lost),
      number(lost_total),
      number(static_cast<uint64_t>(why))};
  answer_open = false;
  add_side(record, tsc);
  previous_tsc = 0;  // the time until the next exit is not that of one run of the guest
  next_seq += gap_lost;
  lost += gap_lost;
}

bool ChunkEncoder::State::add_repeat(std::span<const uint64_t> record, uint64_t tsc) {
  std::array<uint64_t, kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes> folded;
  std::copy(record.begin(), record.end(), folded.begin());
  uint64_t count = number(record[3]);
  const bool unanswered = (count & kRepeatUnanswered) != 0;
  const uint64_t last_tsc_of_run = number(record[5]);
  if (unanswered) {
    count = (count & ~kRepeatUnanswered) - 1;
    folded[3] = number(count);
    folded[5] = number(std::min(last_tsc_of_run, tsc));
  }
  if (count >= ~uint64_t{0} - next_seq) return false;
  if (count != 0 || !unanswered) {
    answer_open = false;  // a run begins behind an answer: in a damaged ring, none will come
    add_side(folded, tsc);
    next_seq += count;
    note_time(tsc);
  }
  if (!unanswered) return true;
  // The run's last exit has not been answered, or not as those before: it is a record of its own.
  MomentRecord moment{};
  moment.ok = true;
  moment.data_bytes = exit_data_bytes <= kWordBytes ? exit_data_bytes : 0;
  moment.data = std::span(&exit_data_word, data_words(moment.data_bytes));
  add_exit(moment, 0, last_tsc_of_run);
  return true;
}

// Nearly all records: in line with add(), which calls it in one place.
[[gnu::always_inline]] inline bool ChunkEncoder::State::add_moment(
    RecordKind kind, std::span<const uint64_t> record) {
  const uint64_t first = number(record[0]);
  const uint64_t tsc = number(record[1]);
  const uint8_t flags = record_flags(first);
  const MomentRecord moment = parse_moment(record, flags, core_words);
  if (!moment.ok) return false;
  if (kind == RecordKind::kExit) {
    if ((flags & kRecordDataSame) != 0 || next_seq == ~uint64_t{0}) return false;
    add_exit(moment, record_ret(first), tsc);
  } else if (kind == RecordKind::kAnswer && answer_open &&
             ((flags & kRecordDataSame) == 0 || moment.data_bytes == exit_data_bytes)) {
    add_answer(moment, tsc);
  } else {
    add_entry(moment, tsc);
  }
  return true;
}

bool ChunkEncoder::State::add_other(RecordKind kind, std::span<const uint64_t> record) {
  const uint64_t tsc = number(record[1]);
  switch (kind) {
    case RecordKind::kEntry:
      return add_moment(kind, record);
    case RecordKind::kGap: {
      if (record.size() != kRecordHeaderWords + sizeof(GapRecord) / kWordBytes) return false;
      const uint64_t gap_lost = number(record[3]);
      if (gap_lost > ~uint64_t{0} - next_seq) return false;
      add_gap(gap_lost, static_cast<GapReason>(number(record[5])), tsc);
      return true;
    }
    case RecordKind::kBlockStart: {
      if (record.size() != kRecordHeaderWords + sizeof(BlockStartRecord) / kWordBytes) return false;
      const uint64_t block_seq = number(record[2]);
      if (block_seq > next_seq) add_gap(block_seq - next_seq, GapReason::kOverwritten, tsc);
      return true;
    }
    case RecordKind::kRepeat:
      if (record.size() == kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes)
        return add_repeat(record, tsc);
      [[fallthrough]];
    default:
      add_side(record, tsc);
      return true;
  }
}

size_t ChunkEncoder::State::add(std::span<const uint64_t> words, bool final) {
  size_t at = 0;
  while (at < words.size()) {
    const uint64_t first = number(words[at]);
    const size_t length = record_words(first);
    if (length < kRecordHeaderWords || length > words.size() - at) {
      malformed = true;
      break;
    }
    const RecordKind kind = record_kind(first);
    if (kind == RecordKind::kExit ||
        (kind == RecordKind::kRepeat && is_unanswered_repeat(words.subspan(at, length)))) {
      if (full()) break;
      if (!final && !exit_is_complete(words, at)) break;
    } else if (!answer_open && full()) {
      break;
    }
    const auto record = words.subspan(at, length);
    const bool is_moment = kind == RecordKind::kExit || kind == RecordKind::kAnswer;
    if (!(is_moment ? add_moment(kind, record) : add_other(kind, record))) {
      malformed = true;
      break;
    }
    at += length;
  }
  return at;
}

ChunkEncoder::ChunkEncoder(const StreamDescription& stream)
    : state_(std::make_unique<State>(stream)) {}
ChunkEncoder::~ChunkEncoder() = default;
ChunkEncoder::ChunkEncoder(ChunkEncoder&&) noexcept = default;

void ChunkEncoder::resume(uint64_t next_seq, uint64_t lost_total, uint64_t previous_tsc) {
  state_->next_seq = next_seq;
  state_->lost_total = lost_total;
  state_->previous_tsc = previous_tsc;
}
size_t ChunkEncoder::add(std::span<const uint64_t> words, bool final) {
  return state_->add(words, final);
}
bool ChunkEncoder::full() const { return state_->full(); }
bool ChunkEncoder::malformed() const { return state_->malformed; }
bool ChunkEncoder::empty() const { return state_->empty(); }
uint32_t ChunkEncoder::exits() const { return static_cast<uint32_t>(state_->exits.size()); }
uint64_t ChunkEncoder::exits_total() const { return state_->exits_total; }
uint64_t ChunkEncoder::lost_total() const { return state_->lost_total; }
uint64_t ChunkEncoder::next_seq() const { return state_->next_seq; }
uint64_t ChunkEncoder::first_tsc() const { return state_->first_tsc; }
void ChunkEncoder::add_gap(uint64_t lost, GapReason why, uint64_t tsc) {
  lost = std::min(lost, ~uint64_t{0} - state_->next_seq);  // a ring's header may say anything
  if (lost != 0) state_->add_gap(lost, why, tsc);
}

uint64_t ChunkEncoder::add_stop(uint64_t exits, uint64_t dropped, uint64_t tsc) {
  dropped = std::min(dropped, exits);
  add_gap(dropped, GapReason::kRingFull, tsc);
  add_gap(exits - dropped, GapReason::kStopped, tsc);
  return exits - dropped;
}

void ChunkEncoder::set_haste(bool haste) { state_->writer.set_haste(haste); }

bool ChunkEncoder::finish(const ChunkPlace& place, std::vector<uint8_t>& out,
                          std::vector<std::pair<uint32_t, uint32_t>>* reasons) {
  State& state = *state_;
  if (state.empty()) return false;
  if (reasons != nullptr) {
    std::unordered_map<uint32_t, uint32_t> counts;
    const std::span<const uint32_t> all = state.exits.reasons();
    for (size_t i = 0; i < all.size();) {  // one look for as many as stand together
      const size_t begin = i;
      while (i < all.size() && all[i] == all[begin]) ++i;
      counts[all[begin]] += static_cast<uint32_t>(i - begin);
    }
    reasons->assign(counts.begin(), counts.end());
    std::sort(reasons->begin(), reasons->end());
  }
  ChunkHeader header{};
  header.type = static_cast<uint16_t>(ChunkType::kExits);
  header.session = place.session;
  header.vcpu_index = state.stream.vcpu_index;
  header.exits = static_cast<uint32_t>(state.exits.size());
  header.first_seq = state.first_seq;
  header.end_seq = state.next_seq;
  header.first_tsc = state.first_tsc;
  header.last_tsc = std::max(state.last_tsc, state.first_tsc);
  header.cut = place.cut;
  header.ring_block = place.ring_block;
  header.ring_bytes = place.ring_bytes;

  ChunkMessage message;
  message.stream = state.stream;
  message.core_words = state.core_words;
  message.clock = place.clock;
  message.ticks_per_second = place.ticks_per_second;
  message.lost = state.lost;
  message.lost_total = state.lost_total;
  message.previous_tsc = state.base_tsc;
  state.writer.write(state.exits, state.columns, state.exit_words, state.answer_words,
                     state.data.bytes(), message);
  append_exits_chunk(header, message, out);
  state.clear_chunk();
  return true;
}

}  // namespace kvmtape
