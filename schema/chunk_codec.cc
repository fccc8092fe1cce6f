#include "schema/chunk_codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <schema/trace.capnp.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "schema/base/crc32c.h"
#include "schema/file_order.h"

namespace kvmtape {
namespace {

using Planes = std::array<std::vector<uint8_t>, kTickPlanes>;

// A record's own numbers are little-endian in the ring; kvm_run's words are memory.
uint64_t number(uint64_t word) {
  return kHostByteOrder == ByteOrder::kLittle ? word : byte_swapped(word);
}

struct WordParts {  // of kvm_run's word 1
  uint32_t reason;
  uint32_t ready;
  uint32_t flags;
};
WordParts split_reason_word(uint64_t word, ByteOrder order) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&word);
  return {load<uint32_t>(bytes, order), uint32_t{bytes[4]} | uint32_t{bytes[5]} << 8,
          load<uint16_t>(bytes + 6, order)};
}
uint64_t join_reason_word(const WordParts& parts, ByteOrder order) {
  uint64_t word = 0;
  auto* bytes = reinterpret_cast<uint8_t*>(&word);
  const uint32_t reason = order == kHostByteOrder ? parts.reason : byte_swapped(parts.reason);
  const auto flags16 = static_cast<uint16_t>(parts.flags);
  const uint16_t flags = order == kHostByteOrder ? flags16 : byte_swapped(flags16);
  std::memcpy(bytes, &reason, 4);
  bytes[4] = static_cast<uint8_t>(parts.ready);
  bytes[5] = static_cast<uint8_t>(parts.ready >> 8);
  std::memcpy(bytes + 6, &flags, 2);
  return word;
}

// std::popcount is a library call on x86-64's base line, and masks have few bits.
size_t count_bits(uint64_t mask) {
  size_t count = 0;
  for (; mask != 0; mask &= mask - 1) ++count;
  return count;
}

// A moment record taken apart; `ok` false: it does not hold together.
struct MomentRecord {
  uint64_t mask = 0;
  uint32_t data_bytes = 0;
  uint8_t flags = 0;
  std::span<const uint64_t> core;
  std::span<const uint64_t> sync;  // masks and words
  std::span<const uint64_t> data;
  bool ok = false;
};

MomentRecord parse_moment(std::span<const uint64_t> record, uint8_t flags, uint32_t core_words) {
  MomentRecord moment;
  if (record.size() < kRecordHeaderWords + 1) return moment;
  const uint64_t first = number(record[kRecordHeaderWords]);
  moment.mask = first & kCoreMask;
  moment.data_bytes = static_cast<uint32_t>(first >> kDataBytesShift);
  moment.flags = flags;
  if ((moment.mask & ~core_mask_all(core_words)) != 0 || moment.data_bytes > kDataBytesMax)
    return moment;
  record = record.subspan(kRecordHeaderWords + 1);
  const size_t core = count_bits(moment.mask);
  if (core > record.size()) return moment;
  moment.core = record.first(core);
  record = record.subspan(core);
  if ((flags & kRecordHasSync) != 0) {
    if (record.size() < kSyncMasks) return moment;
    size_t words = kSyncMasks;
    for (size_t i = 0; i < kSyncMasks; ++i)
      words += static_cast<size_t>(std::popcount(number(record[i])));
    if ((number(record[kSyncMasks - 1]) >> (kSyncWords - 64 * (kSyncMasks - 1))) != 0 ||
        words > record.size())
      return moment;
    moment.sync = record.first(words);
    record = record.subspan(words);
  }
  const size_t data = (flags & kRecordDataSame) != 0 ? 0 : data_words(moment.data_bytes);
  if (data != record.size()) return moment;
  moment.data = record;
  moment.ok = true;
  return moment;
}

// Applies the sync part of a record to `image`, which begins at kvm_valid_regs.
void apply_sync(std::span<const uint64_t> sync, uint64_t* image) {
  const uint64_t* word = sync.data() + kSyncMasks;
  for (size_t i = 0; i < kSyncMasks; ++i)
    for (uint64_t mask = number(sync[i]); mask != 0; mask &= mask - 1)
      image[i * 64 + static_cast<size_t>(std::countr_zero(mask))] = *word++;
}

// The words of `image` that a reader who starts from zero must be told.
uint64_t nonzero_words(const uint64_t* image, uint32_t count) {
  uint64_t mask = 0;
  for (uint32_t i = 0; i < count; ++i) mask |= uint64_t{image[i] != 0} << i;
  return mask;
}

void append_bytes(std::vector<uint8_t>& to, const void* from, size_t bytes) {
  const size_t at = to.size();
  to.resize(at + bytes);
  if (bytes != 0) std::memcpy(to.data() + at, from, bytes);
}

}  // namespace

// ---------------------------------------------------------------------------------- encoding

struct ChunkEncoder::State {
  explicit State(const StreamDescription& description)
      : stream(description), core_words(core_words_of(description.architecture)) {
    mask_slots.assign(kMaskSlots, 0);
  }

  // Of the stream.
  StreamDescription stream;
  uint32_t core_words;
  std::array<uint64_t, kRunWordsMax> image{};
  uint64_t next_seq = 0;
  uint64_t lost_total = 0;
  uint64_t exits_total = 0;
  uint64_t previous_tsc = 0;
  bool malformed = false;

  // Of the chunk.
  bool image_told = false;  // the chunk's reader has an image to which changes can be applied
  bool sync_told = false;
  bool answer_open = false;  // the last exit has no answer yet
  uint64_t first_seq = 0;
  uint64_t base_tsc = 0;  // previous_tsc when the chunk began
  uint64_t first_tsc = 0;
  uint64_t last_tsc = 0;
  uint64_t lost = 0;
  size_t raw_bytes = 0;  // rough, an upper bound
  uint32_t exit_data_bytes = 0;
  uint64_t exit_data_word = 0;  // the first eight
  std::vector<uint32_t> reasons, flags, ready, errnos, guest, monitor, exit_masks, answer_masks;
  std::vector<uint64_t> tick_escapes, masks, sync_words;
  std::array<std::vector<uint64_t>, kCoreWordsS390> exit_words, answer_words;
  std::vector<uint8_t> data;
  std::vector<uint64_t> side;

  // Open-addressed index into `masks`; slot value is index + 1.
  static constexpr size_t kMaskSlots = 2 * kChunkMasksMax;
  std::vector<uint16_t> mask_slots;

  // Scratch.
  Compressor compressor;
  std::vector<uint8_t> raw, frame;

  void clear_chunk() {
    image_told = sync_told = answer_open = false;
    lost = raw_bytes = 0;
    first_tsc = last_tsc = 0;
    for (auto* column :
         {&reasons, &flags, &ready, &errnos, &guest, &monitor, &exit_masks, &answer_masks})
      column->clear();
    for (auto* column : {&tick_escapes, &masks, &sync_words, &side}) column->clear();
    for (auto& words : exit_words) words.clear();
    for (auto& words : answer_words) words.clear();
    data.clear();
    std::fill(mask_slots.begin(), mask_slots.end(), uint16_t{0});
  }

  bool empty() const { return reasons.empty() && side.empty(); }
  bool full() const {
    return reasons.size() >= kChunkExitsMax || masks.size() / 2 + 2 >= kChunkMasksMax ||
           raw_bytes >= kChunkRawBytesMax / 2;
  }

  void begin_if_empty(uint64_t seq) {
    if (!empty()) return;
    first_seq = seq;
    base_tsc = previous_tsc;
  }
  void note_time(uint64_t tsc) {
    if (first_tsc == 0) first_tsc = tsc;
    previous_tsc = last_tsc = tsc;
  }

  uint32_t mask_id(uint64_t mask, uint64_t record_flags) {
    uint64_t slot = ((mask ^ record_flags << 45) * 0x9e3779b97f4a7c15u) >> 51;  // 13 bits
    static_assert(kMaskSlots == size_t{1} << 13);
    for (;; slot = (slot + 1) % kMaskSlots) {
      const uint16_t index = mask_slots[slot];
      if (index == 0) break;
      if (masks[2 * (index - 1u)] == mask && masks[2 * (index - 1u) + 1] == record_flags)
        return index - 1u;
    }
    masks.push_back(mask);
    masks.push_back(record_flags);
    const auto id = static_cast<uint32_t>(masks.size() / 2 - 1);
    mask_slots[slot] = static_cast<uint16_t>(id + 1);
    return id;
  }

  void add_ticks(std::vector<uint32_t>& column, uint64_t tsc) {
    const uint64_t ticks = tsc - previous_tsc;
    if (previous_tsc != 0 && ticks < kTickAbsolute) [[likely]] {
      column.push_back(static_cast<uint32_t>(ticks));
      return;
    }
    column.push_back(previous_tsc == 0 ? kTickAbsolute : kTickEscape);
    tick_escapes.push_back(ticks);
  }

  // Brings the image up to date; returns the mask of words that the chunk's reader must be told.
  uint64_t apply_core(const MomentRecord& moment) {
    uint64_t mask = moment.mask;
    const uint64_t* word = moment.core.data();
    if (image_told && mask != core_mask_all(core_words)) [[likely]] {
      for (; mask != 0; mask &= mask - 1)
        image[static_cast<size_t>(std::countr_zero(mask))] = *word++;
      return moment.mask;
    }
    uint64_t changed = 0;
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(mask));
      changed |= uint64_t{image[i] != *word} << i;
      image[i] = *word++;
    }
    if (image_told) return changed;
    image_told = true;
    return nonzero_words(image.data(), core_words);
  }

  void add_sync(const MomentRecord& moment) {
    apply_sync(moment.sync, &image[core_words]);
    if (sync_told) {
      sync_words.insert(sync_words.end(), moment.sync.begin(), moment.sync.end());
    } else {
      for (size_t i = 0; i + 1 < kSyncMasks; ++i) sync_words.push_back(~uint64_t{0});
      sync_words.push_back(number((uint64_t{1} << (kSyncWords - 64 * (kSyncMasks - 1))) - 1));
      sync_words.insert(sync_words.end(), &image[core_words], &image[core_words] + kSyncWords);
      sync_told = true;
    }
    raw_bytes += (kSyncMasks + kSyncWords) * kWordBytes;
  }

  void add_data(const MomentRecord& moment) {
    if (moment.data.empty()) return;
    append_bytes(data, moment.data.data(), moment.data_bytes);
    raw_bytes += moment.data_bytes;
  }

  static void add_words(std::array<std::vector<uint64_t>, kCoreWordsS390>& columns, uint64_t mask,
                        const std::array<uint64_t, kRunWordsMax>& from) {
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(mask));
      columns[i].push_back(from[i]);
    }
  }

  void add_exit(const MomentRecord& moment, int32_t ret, uint64_t tsc) {
    begin_if_empty(next_seq);
    const uint64_t mask = apply_core(moment) & ~(uint64_t{1} << kReasonWord);
    const WordParts parts = split_reason_word(image[kReasonWord], stream.byte_order);
    reasons.push_back(parts.reason);
    ready.push_back(parts.ready);
    flags.push_back(parts.flags);
    errnos.push_back(0u - static_cast<uint32_t>(ret));
    add_ticks(guest, tsc);
    note_time(tsc);
    const uint64_t kept_flags = moment.flags & kRecordHasSync;
    exit_masks.push_back(
        mask_id(mask | uint64_t{moment.data_bytes} << kDataBytesShift, kept_flags));
    answer_masks.push_back(0);
    add_words(exit_words, mask, image);
    if (!moment.sync.empty()) add_sync(moment);
    add_data(moment);
    exit_data_bytes = moment.data_bytes;
    exit_data_word = moment.data.empty() ? 0 : moment.data[0];
    answer_open = true;
    ++next_seq;
    ++exits_total;
    raw_bytes += 64;
  }

  void add_answer(const MomentRecord& moment, uint64_t tsc) {
    const uint64_t mask = apply_core(moment);
    add_ticks(monitor, tsc);
    note_time(tsc);
    const uint64_t kept_flags = moment.flags & (kRecordHasSync | kRecordDataSame);
    answer_masks.back() =
        1 + mask_id(mask | uint64_t{moment.data_bytes} << kDataBytesShift, kept_flags);
    add_words(answer_words, mask, image);
    if (!moment.sync.empty()) add_sync(moment);
    add_data(moment);
    answer_open = false;
    raw_bytes += 32;
  }

  // Position 2n: before exit n of this chunk; 2n + 1: between exit n and its answer.
  void add_side(std::span<const uint64_t> record, uint64_t tsc) {
    begin_if_empty(next_seq);
    const uint64_t exits = reasons.size();
    side.push_back(number(answer_open ? 2 * (exits - 1) + 1 : 2 * exits));
    side.insert(side.end(), record.begin(), record.end());
    if (first_tsc == 0) first_tsc = tsc;
    raw_bytes += (record.size() + 1) * kWordBytes;
  }

  // An answer without an exit: its changes are relative to what this chunk's reader may not have.
  void add_entry(const MomentRecord& moment, uint64_t tsc) {
    begin_if_empty(next_seq);
    (void)apply_core(moment);
    image_told = true;
    if (!moment.sync.empty()) {
      apply_sync(moment.sync, &image[core_words]);
      sync_told = false;  // what is kept of an entry has no sync area
    }
    std::vector<uint64_t> record;
    const uint32_t words = kRecordHeaderWords + 1 + core_words;
    record.push_back(number(words | uint64_t{static_cast<uint8_t>(RecordKind::kEntry)} << 16 |
                            uint64_t{kRecordKeyframe} << 24));
    record.push_back(number(tsc));
    record.push_back(number(core_mask_all(core_words)));
    record.insert(record.end(), image.begin(), image.begin() + core_words);
    answer_open = false;
    add_side(record, tsc);
    note_time(tsc);
  }

  void add_gap(uint64_t gap_lost, uint64_t lost_total_now, GapReason why, uint64_t tsc) {
    const uint64_t record[] = {number((kRecordHeaderWords + sizeof(GapRecord) / kWordBytes) |
                                      uint64_t{static_cast<uint8_t>(RecordKind::kGap)} << 16),
                               number(tsc),
                               number(next_seq),
                               number(gap_lost),
                               number(lost_total_now),
                               number(static_cast<uint64_t>(why))};
    answer_open = false;
    add_side(record, tsc);
    previous_tsc = 0;  // the time until the next exit is not that of one run of the guest
    next_seq += gap_lost;
    lost += gap_lost;
    lost_total = lost_total_now;
  }

  size_t add(std::span<const uint64_t> words, bool final);
  bool add_record(std::span<const uint64_t> record);
  bool add_repeat(std::span<const uint64_t> record, uint64_t tsc);
  void put_columns(wire::Exits::Builder exits);
  void put_column(capnp::List<wire::Column>::Builder columns, uint32_t at, ColumnId id);
};

namespace {

RecordKind kind_of(uint64_t first_word) { return static_cast<RecordKind>(first_word >> 16 & 0xff); }

// A run of equal exits whose last one waits for its answer, or got another than those before.
bool is_unanswered_repeat(std::span<const uint64_t> record) {
  return kind_of(number(record[0])) == RecordKind::kRepeat &&
         record.size() == kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes &&
         (number(record[3]) & kRepeatUnanswered) != 0;
}

// Whether the answer to the exit at words[at] (or what shows that none will come) stands in
// `words`.
bool exit_is_complete(std::span<const uint64_t> words, size_t at) {
  for (at += number(words[at]) & 0xffff; at < words.size();) {
    const uint64_t first = number(words[at]);
    const size_t length = first & 0xffff;
    if (length < kRecordHeaderWords || length > words.size() - at) return true;
    switch (kind_of(first)) {
      case RecordKind::kExit:
      case RecordKind::kAnswer:
      case RecordKind::kEntry:
      case RecordKind::kGap:
        return true;
      default:
        at += length;
    }
  }
  return false;
}

}  // namespace

size_t ChunkEncoder::State::add(std::span<const uint64_t> words, bool final) {
  size_t at = 0;
  while (at < words.size()) {
    const uint64_t first = number(words[at]);
    const size_t length = first & 0xffff;
    if (length < kRecordHeaderWords || length > words.size() - at) {
      malformed = true;
      break;
    }
    if (kind_of(first) == RecordKind::kExit || is_unanswered_repeat(words.subspan(at, length))) {
      if (full()) break;
      if (!final && !exit_is_complete(words, at)) break;
    } else if (!answer_open && full()) {
      break;
    }
    if (!add_record(words.subspan(at, length))) {
      malformed = true;
      break;
    }
    at += length;
  }
  return at;
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

bool ChunkEncoder::State::add_record(std::span<const uint64_t> record) {
  const uint64_t first = number(record[0]);
  const auto record_flags = static_cast<uint8_t>(first >> 24);
  const auto ret = static_cast<int32_t>(first >> 32);
  const uint64_t tsc = number(record[1]);
  const RecordKind kind = kind_of(first);
  switch (kind) {
    case RecordKind::kExit:
    case RecordKind::kAnswer:
    case RecordKind::kEntry: {
      MomentRecord moment = parse_moment(record, record_flags, core_words);
      if (!moment.ok) return false;
      if (kind == RecordKind::kExit) {
        if ((record_flags & kRecordDataSame) != 0 || next_seq == ~uint64_t{0}) return false;
        add_exit(moment, ret, tsc);
      } else if (kind == RecordKind::kAnswer && answer_open &&
                 ((record_flags & kRecordDataSame) == 0 || moment.data_bytes == exit_data_bytes)) {
        add_answer(moment, tsc);
      } else {
        add_entry(moment, tsc);
      }
      return true;
    }
    case RecordKind::kGap: {
      if (record.size() != kRecordHeaderWords + sizeof(GapRecord) / kWordBytes) return false;
      const uint64_t gap_lost = number(record[3]);
      if (gap_lost > ~uint64_t{0} - next_seq) return false;
      add_gap(gap_lost, lost_total + gap_lost, static_cast<GapReason>(number(record[5])), tsc);
      return true;
    }
    case RecordKind::kBlockStart: {
      if (record.size() != kRecordHeaderWords + sizeof(BlockStartRecord) / kWordBytes) return false;
      const uint64_t block_seq = number(record[2]);
      if (block_seq > next_seq)
        add_gap(block_seq - next_seq, lost_total + (block_seq - next_seq), GapReason::kOverwritten,
                tsc);
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

void ChunkEncoder::State::put_column(capnp::List<wire::Column>::Builder columns, uint32_t at,
                                     ColumnId id) {
  auto column = columns[at];
  column.setId(static_cast<uint16_t>(id));
  column.setRequired(true);
  column.setRawBytes(static_cast<uint32_t>(raw.size()));
  // zstd's frame header and block header alone take 12 bytes.
  frame.clear();
  if (raw.size() > 16) compressor.encode_frame(raw, frame);
  column.setZstd(!frame.empty());
  const auto& bytes = frame.empty() ? raw : frame;
  column.setBytes(kj::arrayPtr(bytes.data(), bytes.size()));
  raw.clear();
}

void ChunkEncoder::State::put_columns(wire::Exits::Builder exits) {
  auto columns = exits.initColumns(static_cast<uint32_t>(ColumnId::kSide));
  uint32_t at = 0;
  auto put_narrow = [&](ColumnId id, const std::vector<uint32_t>& numbers) {
    encode_narrow(numbers, raw);
    put_column(columns, at++, id);
  };
  auto put_planes = [&](ColumnId first, const std::vector<uint32_t>& numbers) {
    for (uint32_t plane = 0; plane < kTickPlanes; ++plane) {
      encode_plane(numbers, plane, raw);
      put_column(columns, at++, static_cast<ColumnId>(static_cast<uint16_t>(first) + plane));
    }
  };
  auto put_numbers = [&](ColumnId id, const std::vector<uint64_t>& numbers) {
    for (uint64_t value : numbers) {
      uint8_t bytes[8];
      store_le(bytes, value);
      append_bytes(raw, bytes, sizeof bytes);
    }
    put_column(columns, at++, id);
  };
  auto put_memory = [&](ColumnId id, const void* bytes, size_t size) {
    append_bytes(raw, bytes, size);
    put_column(columns, at++, id);
  };
  put_narrow(ColumnId::kReason, reasons);
  put_narrow(ColumnId::kFlags, flags);
  put_narrow(ColumnId::kReady, ready);
  put_narrow(ColumnId::kRet, errnos);
  put_planes(ColumnId::kGuestTicks, guest);
  put_planes(ColumnId::kMonitorTicks, monitor);
  put_numbers(ColumnId::kTickEscapes, tick_escapes);
  put_narrow(ColumnId::kExitMask, exit_masks);
  put_narrow(ColumnId::kAnswerMask, answer_masks);
  put_numbers(ColumnId::kMasks, masks);
  for (const auto& words : exit_words) encode_transposed(words, raw);
  put_column(columns, at++, ColumnId::kExitWords);
  for (const auto& words : answer_words) encode_transposed(words, raw);
  put_column(columns, at++, ColumnId::kAnswerWords);
  put_memory(ColumnId::kSync, sync_words.data(), sync_words.size() * kWordBytes);
  put_memory(ColumnId::kData, data.data(), data.size());
  put_memory(ColumnId::kSide, side.data(), side.size() * kWordBytes);
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
uint32_t ChunkEncoder::exits() const { return static_cast<uint32_t>(state_->reasons.size()); }
uint64_t ChunkEncoder::exits_total() const { return state_->exits_total; }
uint64_t ChunkEncoder::lost_total() const { return state_->lost_total; }
uint64_t ChunkEncoder::next_seq() const { return state_->next_seq; }
uint64_t ChunkEncoder::first_tsc() const { return state_->first_tsc; }
void ChunkEncoder::add_gap(uint64_t lost, GapReason why, uint64_t tsc) {
  lost = std::min(lost, ~uint64_t{0} - state_->next_seq);  // a ring's header may say anything
  if (lost != 0) state_->add_gap(lost, state_->lost_total + lost, why, tsc);
}

bool ChunkEncoder::finish(const ChunkPlace& place, std::vector<uint8_t>& out,
                          std::vector<std::pair<uint32_t, uint32_t>>* reasons) {
  State& state = *state_;
  if (state.empty()) return false;
  if (reasons != nullptr) {
    std::unordered_map<uint32_t, uint32_t> counts;
    for (uint32_t reason : state.reasons) ++counts[reason];
    reasons->assign(counts.begin(), counts.end());
    std::sort(reasons->begin(), reasons->end());
  }
  ChunkHeader header{};
  header.type = static_cast<uint16_t>(ChunkType::kExits);
  header.session = place.session;
  header.vcpu_index = state.stream.vcpu_index;
  header.exits = static_cast<uint32_t>(state.reasons.size());
  header.first_seq = state.first_seq;
  header.end_seq = state.next_seq;
  header.first_tsc = state.first_tsc;
  header.last_tsc = std::max(state.last_tsc, state.first_tsc);
  header.cut = place.cut;
  header.ring_block = place.ring_block;
  header.ring_bytes = place.ring_bytes;

  capnp::MallocMessageBuilder message(64 * 1024 / sizeof(capnp::word));
  auto exits = message.initRoot<wire::Exits>();
  exits.setArchitecture(static_cast<uint16_t>(state.stream.architecture));
  exits.setBigEndian(state.stream.byte_order == ByteOrder::kBig);
  exits.setCoreWords(static_cast<uint16_t>(state.core_words));
  exits.setVcpuId(state.stream.vcpu_id);
  auto clock = exits.initClock();
  clock.setTicks(place.clock.ticks);
  clock.setMonotonicNs(place.clock.monotonic_ns);
  clock.setRealtimeNs(place.clock.realtime_ns);
  exits.setTicksPerSecond(place.ticks_per_second);
  exits.setLost(state.lost);
  exits.setLostTotal(state.lost_total);
  exits.setPreviousTicks(state.base_tsc);
  state.put_columns(exits);
  const auto words = capnp::messageToFlatArray(message);
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, out);
  state.clear_chunk();
  return true;
}

void append_chunk(ChunkHeader header, std::span<const uint8_t> body, std::vector<uint8_t>& out) {
  header.magic = kChunkMagic;
  header.header_bytes = sizeof header;
  header.body_bytes = static_cast<uint32_t>(body.size());
  header.crc32c = 0;
  header.crc32c = crc32c(body, crc32c(file_bytes_of(header)));
  append_bytes(out, file_bytes_of(header).data(), sizeof header);
  append_bytes(out, body.data(), body.size());
}

// ---------------------------------------------------------------------------------- decoding

Result<ChunkHeader> check_chunk(std::span<const uint8_t> bytes, uint64_t file_offset) {
  auto error = [&](ErrorCode code, std::string message) {
    return Error{code, std::move(message), {}, file_offset};
  };
  if (bytes.size() < sizeof(ChunkHeader))
    return error(ErrorCode::kTruncated, "the file ends inside a chunk header");
  const auto header = load_file_struct<ChunkHeader>(bytes.data());
  if (header.magic != kChunkMagic) return error(ErrorCode::kCorrupt, "no chunk begins here");
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      header.body_bytes % 8 != 0 || header.body_bytes > kChunkBodyBytesMax)
    return error(ErrorCode::kCorrupt, "the chunk's header does not hold together");
  const uint64_t size = uint64_t{header.header_bytes} + header.body_bytes;
  if (size > bytes.size())
    return error(ErrorCode::kTruncated, "the chunk needs " + std::to_string(size) +
                                            " bytes and the file has " +
                                            std::to_string(bytes.size()) + " left");
  ChunkHeader zeroed = header;
  zeroed.crc32c = 0;
  uint32_t crc = crc32c(file_bytes_of(zeroed));
  crc = crc32c(bytes.subspan(sizeof zeroed, size - sizeof zeroed), crc);
  if (crc != header.crc32c)
    return error(ErrorCode::kCorrupt, "the chunk's checksum does not match");
  return header;
}

struct ChunkDecoder::State {
  struct ColumnRef {
    uint32_t raw_bytes = 0;
    bool zstd = false;
    std::span<const uint8_t> bytes;
  };

  ChunkHeader header{};
  StreamDescription stream;
  uint32_t core_words = kCoreWords;
  ClockReading clock;
  uint64_t ticks_per_second = 0;
  uint64_t lost = 0;
  uint64_t lost_total = 0;
  uint64_t base_tsc = 0;
  std::array<ColumnRef, static_cast<size_t>(ColumnId::kSide) + 1> columns{};
  Decompressor decompressor;
  std::vector<uint8_t> raw;

  // Decoded columns.
  std::vector<uint32_t> reasons, flags, ready, errnos, guest, monitor, exit_masks, answer_masks;
  std::vector<uint64_t> masks, tick_escapes, exit_words, answer_words, sync_words, side;
  std::vector<uint64_t> guest_ticks, monitor_ticks;  // of summarize()
  std::vector<uint8_t> data;

  // The walk.
  // `image` follows every change; `exit_image` is what the exit at hand points to. Bringing it up
  // to date word by word is quicker than a copy, which would have to wait for the words just
  // stored.
  std::array<uint64_t, kRunWordsMax> image{}, exit_image{};
  uint64_t behind = 0;  // words of exit_image that are not image's
  std::array<uint64_t*, kCoreWordsS390> next_exit_word{}, next_answer_word{};
  size_t exit_index = 0, answer_index = 0, escape_index = 0, data_at = 0, sync_at = 0, side_at = 0;
  uint64_t tsc = 0;
  uint64_t seq = 0;
  RecordedExit exit;
  SideRecord side_record;
  Error error;

  Error corrupt(const char* message) const {
    return Error{ErrorCode::kCorrupt, message, {}, std::nullopt};
  }
  Result<void> read_body(std::span<const uint8_t> body);
  Result<void> load(ColumnId id);
  Result<void> load_narrow(ColumnId id, std::vector<uint32_t>& numbers);
  Result<void> load_numbers(ColumnId id, std::vector<uint64_t>& numbers);
  Result<void> load_memory(ColumnId id, std::vector<uint64_t>& words);
  Result<void> load_ticks(ColumnId first, size_t count, std::vector<uint32_t>& ticks);
  Result<void> load_words(ColumnId id, const std::vector<uint32_t>& mask_ids, uint32_t bias,
                          std::vector<uint64_t>& words,
                          std::array<uint64_t*, kCoreWordsS390>& next_word);
  Result<void> load_times();
  size_t answer_count() const {
    size_t count = 0;
    for (uint32_t id : answer_masks) count += id != 0;
    return count;
  }
  bool take_ticks(const std::vector<uint32_t>& column, size_t at, uint64_t& ticks);
  bool take_sync(bool present);
  bool take_data(uint64_t bytes, std::span<const uint8_t>& taken);
  bool take_side();
  bool take_exit();
};

Result<void> ChunkDecoder::State::read_body(std::span<const uint8_t> body) try {
  const kj::ArrayPtr<const capnp::word> words(reinterpret_cast<const capnp::word*>(body.data()),
                                              body.size() / sizeof(capnp::word));
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words.size() + 1024;
  options.nestingLimit = 8;
  capnp::FlatArrayMessageReader message(words, options);
  auto exits = message.getRoot<wire::Exits>();
  stream.vcpu_index = header.vcpu_index;
  stream.vcpu_id = exits.getVcpuId();
  stream.architecture = static_cast<Architecture>(exits.getArchitecture());
  stream.byte_order = exits.getBigEndian() ? ByteOrder::kBig : ByteOrder::kLittle;
  core_words = exits.getCoreWords();
  if (core_words != kCoreWords && core_words != kCoreWordsS390)
    return corrupt("the chunk names an impossible size of kvm_run");
  clock = {exits.getClock().getTicks(), exits.getClock().getMonotonicNs(),
           exits.getClock().getRealtimeNs()};
  ticks_per_second = exits.getTicksPerSecond();
  lost = exits.getLost();
  lost_total = exits.getLostTotal();
  base_tsc = exits.getPreviousTicks();
  columns.fill({});
  uint64_t raw_total = 0;
  for (auto column : exits.getColumns()) {
    if (column.getId() == 0 || column.getId() >= columns.size()) {
      if (column.getRequired())
        return Error{
            ErrorCode::kUnsupported,
            "the chunk has a column (" + std::to_string(column.getId()) +
                ") that this kvmtape does not know and that decoding needs: use a newer one",
            {},
            std::nullopt};
      continue;
    }
    raw_total += column.getRawBytes();
    if (raw_total > kChunkRawBytesMax) return corrupt("the chunk would be too large uncompressed");
    const auto bytes = column.getBytes();
    columns[column.getId()] = {
        column.getRawBytes(), column.getZstd(), {bytes.begin(), bytes.size()}};
  }
  return {};
} catch (const kj::Exception& exception) {
  return Error{
      ErrorCode::kCorrupt,
      std::string("the chunk is not a Cap'n Proto message: ") + exception.getDescription().cStr(),
      {},
      std::nullopt};
}

Result<void> ChunkDecoder::State::load(ColumnId id) {
  const ColumnRef& column = columns[static_cast<size_t>(id)];
  raw.resize(column.raw_bytes);
  if (column.zstd) {
    if (!decompressor.decode_frame(column.bytes, raw))
      return corrupt("a column does not decompress");
  } else {
    if (column.bytes.size() != raw.size()) return corrupt("a column has another size than it says");
    std::copy(column.bytes.begin(), column.bytes.end(), raw.begin());
  }
  return {};
}

Result<void> ChunkDecoder::State::load_narrow(ColumnId id, std::vector<uint32_t>& numbers) {
  KVMTAPE_TRY(load(id));
  if (!decode_narrow(raw, header.exits, numbers))
    return corrupt("a column has another length than the chunk");
  return {};
}

Result<void> ChunkDecoder::State::load_numbers(ColumnId id, std::vector<uint64_t>& numbers) {
  KVMTAPE_TRY(load_memory(id, numbers));
  for (uint64_t& value : numbers) value = number(value);
  return {};
}

Result<void> ChunkDecoder::State::load_memory(ColumnId id, std::vector<uint64_t>& words) {
  KVMTAPE_TRY(load(id));
  if (raw.size() % kWordBytes != 0) return corrupt("a column of words is cut off");
  words.resize(raw.size() / kWordBytes);
  if (!raw.empty()) std::memcpy(words.data(), raw.data(), raw.size());
  return {};
}

Result<void> ChunkDecoder::State::load_ticks(ColumnId first, size_t count,
                                             std::vector<uint32_t>& ticks) {
  ticks.assign(count, 0);
  for (uint32_t plane = 0; plane < kTickPlanes; ++plane) {
    KVMTAPE_TRY(load(static_cast<ColumnId>(static_cast<uint16_t>(first) + plane)));
    if (!decode_plane(raw, plane, ticks)) return corrupt("a time column has another length");
  }
  return {};
}

// Words grouped by word: where each group begins follows from how often each mask is used.
Result<void> ChunkDecoder::State::load_words(ColumnId id, const std::vector<uint32_t>& mask_ids,
                                             uint32_t bias, std::vector<uint64_t>& words,
                                             std::array<uint64_t*, kCoreWordsS390>& next_word) {
  const size_t mask_count = masks.size() / 2;
  std::vector<uint32_t> uses(mask_count + bias);
  for (uint32_t mask_id : mask_ids) {
    if (mask_id >= uses.size()) return corrupt("a change mask is missing");
    ++uses[mask_id];
  }
  std::array<size_t, kCoreWordsS390> counts{};
  size_t total = 0;
  for (size_t i = 0; i < mask_count; ++i)
    for (uint64_t mask = masks[2 * i] & kCoreMask; mask != 0; mask &= mask - 1) {
      const auto word = static_cast<size_t>(std::countr_zero(mask));
      if (word >= core_words) return corrupt("a change mask names a word beyond kvm_run");
      counts[word] += uses[i + bias];
      total += uses[i + bias];
    }
  KVMTAPE_TRY(load(id));
  if (raw.size() != total * kWordBytes) return corrupt("a column of words has another length");
  words.resize(total);
  size_t at = 0;
  for (size_t word = 0; word < counts.size(); ++word) {
    next_word[word] = words.data() + at;
    decode_transposed(std::span(raw).subspan(at * kWordBytes, counts[word] * kWordBytes),
                      std::span(words).subspan(at, counts[word]));
    at += counts[word];
  }
  return {};
}

Result<void> ChunkDecoder::State::load_times() {
  KVMTAPE_TRY(load_narrow(ColumnId::kReason, reasons));
  KVMTAPE_TRY(load_narrow(ColumnId::kRet, errnos));
  KVMTAPE_TRY(load_narrow(ColumnId::kAnswerMask, answer_masks));
  KVMTAPE_TRY(load_numbers(ColumnId::kTickEscapes, tick_escapes));
  KVMTAPE_TRY(load_ticks(ColumnId::kGuestTicks, header.exits, guest));
  return load_ticks(ColumnId::kMonitorTicks, answer_count(), monitor);
}

bool ChunkDecoder::State::take_ticks(const std::vector<uint32_t>& column, size_t at,
                                     uint64_t& ticks) {
  ticks = column[at];
  if (ticks < kTickAbsolute) [[likely]]
    return true;
  if (escape_index >= tick_escapes.size()) return false;
  ticks = tick_escapes[escape_index++];
  return true;
}

bool ChunkDecoder::State::take_sync(bool present) {
  if (!present) [[likely]]
    return true;
  std::span<const uint64_t> rest = std::span(sync_words).subspan(sync_at);
  if (rest.size() < kSyncMasks) return false;
  size_t words = kSyncMasks;
  for (size_t i = 0; i < kSyncMasks; ++i)
    words += static_cast<size_t>(std::popcount(number(rest[i])));
  if (words > rest.size() ||
      (number(rest[kSyncMasks - 1]) >> (kSyncWords - 64 * (kSyncMasks - 1))) != 0)
    return false;
  apply_sync(rest.first(words), &image[core_words]);
  sync_at += words;
  return true;
}

bool ChunkDecoder::State::take_data(uint64_t bytes, std::span<const uint8_t>& taken) {
  if (bytes > data.size() - data_at) return false;
  taken = std::span(data).subspan(data_at, bytes);
  data_at += bytes;
  return true;
}

bool ChunkDecoder::State::take_exit() {
  const size_t i = exit_index;
  const uint64_t mask_word = masks[2 * size_t{exit_masks[i]}];
  const uint64_t mask_flags = masks[2 * size_t{exit_masks[i]} + 1];
  for (uint64_t mask = mask_word & kCoreMask; mask != 0; mask &= mask - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(mask));
    image[word] = *next_exit_word[word]++;
  }
  image[kReasonWord] = join_reason_word({reasons[i], ready[i], flags[i]}, stream.byte_order);
  behind |= (mask_word & kCoreMask) | uint64_t{1} << kReasonWord;
  exit.seq = seq++;
  exit.ret = static_cast<int32_t>(0u - errnos[i]);
  exit.reason = reasons[i];
  if (guest[i] == kTickAbsolute) tsc = 0;
  exit.previous_tsc = tsc;
  uint64_t ticks = 0;
  if (!take_ticks(guest, i, ticks)) return false;
  tsc += ticks;
  exit.tsc = tsc;
  const bool exit_sync = (mask_flags & kRecordHasSync) != 0;
  if (!take_sync(exit_sync) || !take_data(mask_word >> kDataBytesShift, exit.data)) return false;
  const size_t words = core_words + (exit_sync ? kSyncWords : 0);
  for (; behind != 0; behind &= behind - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(behind));
    exit_image[word] = image[word];
  }
  if (exit_sync) std::copy_n(&image[core_words], kSyncWords, &exit_image[core_words]);
  exit.kvm_run = {reinterpret_cast<const uint8_t*>(exit_image.data()), words * kWordBytes};

  exit.has_answer = answer_masks[i] != 0;
  exit.answer_kvm_run = {};
  exit.answer_data = {};
  exit.answer_tsc = 0;
  ++exit_index;
  if (!exit.has_answer) return true;
  const uint64_t answer_word = masks[2 * size_t{answer_masks[i] - 1}];
  const uint64_t answer_flags = masks[2 * size_t{answer_masks[i] - 1} + 1];
  for (uint64_t mask = answer_word & kCoreMask; mask != 0; mask &= mask - 1) {
    const auto word = static_cast<size_t>(std::countr_zero(mask));
    image[word] = *next_answer_word[word]++;
  }
  behind |= answer_word & kCoreMask;
  if (!take_ticks(monitor, answer_index++, ticks)) return false;
  tsc += ticks;
  exit.answer_tsc = tsc;
  const bool answer_sync = (answer_flags & kRecordHasSync) != 0;
  if (!take_sync(answer_sync)) return false;
  if ((answer_flags & kRecordDataSame) != 0)
    exit.answer_data = exit.data;
  else if (!take_data(answer_word >> kDataBytesShift, exit.answer_data))
    return false;
  exit.answer_kvm_run = {reinterpret_cast<const uint8_t*>(image.data()),
                         (core_words + (answer_sync ? kSyncWords : 0)) * kWordBytes};
  return true;
}

bool ChunkDecoder::State::take_side() {
  std::span<const uint64_t> rest = std::span(side).subspan(side_at);
  if (rest.size() < 1 + kRecordHeaderWords) return false;
  const uint64_t position = number(rest[0]);
  const uint64_t first = number(rest[1]);
  const size_t length = first & 0xffff;
  if (length < kRecordHeaderWords || length > rest.size() - 1) return false;
  std::span<const uint64_t> record = rest.subspan(1, length);
  side_at += 1 + length;
  side_record.kind = kind_of(first);
  side_record.flags = static_cast<uint8_t>(first >> 24);
  side_record.ret = static_cast<int32_t>(first >> 32);
  side_record.tsc = number(record[1]);
  side_record.belongs_to_exit = position % 2 == 1;
  record = record.subspan(kRecordHeaderWords);
  side_record.payload = {reinterpret_cast<const uint8_t*>(record.data()),
                         record.size() * kWordBytes};
  uint64_t advance = 0;
  if (side_record.kind == RecordKind::kGap) {
    if (record.size() != sizeof(GapRecord) / kWordBytes || number(record[0]) != seq) return false;
    advance = number(record[1]);
  } else if (side_record.kind == RecordKind::kRepeat) {
    if (record.size() == sizeof(RepeatRecord) / kWordBytes) {
      advance = number(record[1]);
      tsc = side_record.tsc;
    }
  } else if (side_record.kind == RecordKind::kEntry) {
    if (record.size() != 1 + size_t{core_words}) return false;
    std::copy(record.begin() + 1, record.end(), image.begin());
    behind = core_mask_all(core_words);
    tsc = side_record.tsc;
  }
  if (advance > ~uint64_t{0} - seq) return false;
  seq += advance;
  side_record.next_seq = seq;
  return true;
}

ChunkDecoder::ChunkDecoder() : state_(std::make_unique<State>()) {}
ChunkDecoder::~ChunkDecoder() = default;
ChunkDecoder::ChunkDecoder(ChunkDecoder&&) noexcept = default;
ChunkDecoder& ChunkDecoder::operator=(ChunkDecoder&&) noexcept = default;

Result<void> ChunkDecoder::open(std::span<const uint8_t> chunk) {
  if (chunk.size() < sizeof(ChunkHeader)) return state_->corrupt("no chunk header");
  state_->header = load_file_struct<ChunkHeader>(chunk.data());
  const ChunkHeader& header = state_->header;
  if (header.exits > kChunkExitsMax) return state_->corrupt("more exits than a chunk may hold");
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      uint64_t{header.header_bytes} + header.body_bytes > chunk.size())
    return state_->corrupt("the chunk is longer than its bytes");
  return state_->read_body(chunk.subspan(header.header_bytes, header.body_bytes));
}

const ChunkHeader& ChunkDecoder::header() const { return state_->header; }
const StreamDescription& ChunkDecoder::stream() const { return state_->stream; }
const ClockReading& ChunkDecoder::clock() const { return state_->clock; }
uint64_t ChunkDecoder::ticks_per_second() const { return state_->ticks_per_second; }
uint64_t ChunkDecoder::lost() const { return state_->lost; }
uint64_t ChunkDecoder::lost_total() const { return state_->lost_total; }
uint64_t ChunkDecoder::previous_tsc() const { return state_->base_tsc; }

Result<ChunkDecoder::Summary> ChunkDecoder::summarize() {
  State& state = *state_;
  KVMTAPE_TRY(state.load_times());
  const size_t count = state.header.exits;
  state.guest_ticks.resize(count);
  state.monitor_ticks.resize(count);
  state.escape_index = 0;
  size_t answer = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t ticks = 0;
    if (!state.take_ticks(state.guest, i, ticks)) return state.corrupt("a time is missing");
    // An exit that was not answered says nothing of when the guest ran again.
    const bool entered =
        state.guest[i] != kTickAbsolute && (i == 0 || state.answer_masks[i - 1] != 0);
    state.guest_ticks[i] = entered ? ticks : kNoTicks;
    state.monitor_ticks[i] = kNoTicks;
    if (state.answer_masks[i] == 0) continue;
    if (!state.take_ticks(state.monitor, answer++, ticks))
      return state.corrupt("a time is missing");
    state.monitor_ticks[i] = ticks;
  }
  return Summary{state.reasons, state.errnos, state.guest_ticks, state.monitor_ticks};
}

Result<void> ChunkDecoder::begin() {
  State& state = *state_;
  KVMTAPE_TRY(state.load_times());
  KVMTAPE_TRY(state.load_narrow(ColumnId::kFlags, state.flags));
  KVMTAPE_TRY(state.load_narrow(ColumnId::kReady, state.ready));
  KVMTAPE_TRY(state.load_narrow(ColumnId::kExitMask, state.exit_masks));
  KVMTAPE_TRY(state.load_numbers(ColumnId::kMasks, state.masks));
  if (state.masks.size() % 2 != 0 || state.masks.size() / 2 > kChunkMasksMax)
    return state.corrupt("the change masks are cut off");
  KVMTAPE_TRY(state.load_words(ColumnId::kExitWords, state.exit_masks, 0, state.exit_words,
                               state.next_exit_word));
  KVMTAPE_TRY(state.load_words(ColumnId::kAnswerWords, state.answer_masks, 1, state.answer_words,
                               state.next_answer_word));
  KVMTAPE_TRY(state.load_memory(ColumnId::kSync, state.sync_words));
  KVMTAPE_TRY(state.load_memory(ColumnId::kSide, state.side));
  KVMTAPE_TRY(state.load(ColumnId::kData));
  state.data = state.raw;
  state.image.fill(0);
  state.exit_image.fill(0);
  state.behind = 0;
  state.exit_index = state.answer_index = state.escape_index = 0;
  state.data_at = state.sync_at = state.side_at = 0;
  state.tsc = state.base_tsc;
  state.seq = state.header.first_seq;
  return {};
}

ChunkDecoder::Item ChunkDecoder::next() {
  State& state = *state_;
  auto corrupt = [&](const char* message) {
    state.error = state.corrupt(message);
    return Item::kCorrupt;
  };
  if (state.side_at < state.side.size()) {
    const uint64_t position = number(state.side[state.side_at]);
    if (position / 2 + position % 2 <= state.exit_index || state.exit_index >= state.header.exits)
      return state.take_side() ? Item::kSide : corrupt("a side record does not hold together");
  }
  if (state.exit_index >= state.header.exits)
    return state.seq == state.header.end_seq
               ? Item::kEnd
               : corrupt("the chunk's records do not add up to its last sequence");
  return state.take_exit() ? Item::kExit
                           : corrupt("the columns of the chunk contradict each other");
}

const RecordedExit& ChunkDecoder::exit() const { return state_->exit; }
const SideRecord& ChunkDecoder::side() const { return state_->side_record; }
const Error& ChunkDecoder::error() const { return state_->error; }

}  // namespace kvmtape
