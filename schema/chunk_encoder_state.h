// What ChunkEncoder keeps: of the stream, and of the chunk that is being filled. The moments of an
// exit stand here, the other records in chunk_encoder.cc, which alone includes this.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_codec.h"
#include "schema/chunk_columns.h"
#include "schema/column_writer.h"
#include "schema/exit_columns.h"
#include "schema/mask_table.h"
#include "schema/moment_record.h"
#include "schema/record_words.h"
#include "schema/run_image.h"
#include "schema/tick_columns.h"

namespace kvmtape {

struct ChunkEncoder::State {
  explicit State(const StreamDescription& description)
      : stream(description),
        core_words(core_words_of(description.architecture)),
        image(core_words) {}

  // Of the stream.
  StreamDescription stream;
  uint32_t core_words;
  RunImage image;
  uint64_t next_seq = 0;
  uint64_t lost_total = 0;
  uint64_t exits_total = 0;
  uint64_t previous_tsc = 0;
  bool malformed = false;

  // Of the chunk.
  bool answer_open = false;  // the last exit has no answer yet
  uint64_t first_seq = 0;
  uint64_t base_tsc = 0;  // previous_tsc when the chunk began
  uint64_t first_tsc = 0;
  uint64_t last_tsc = 0;
  uint64_t lost = 0;
  size_t raw_bytes = 0;  // rough, an upper bound
  uint32_t exit_data_bytes = 0;
  uint64_t exit_data_word = 0;  // the first eight
  ExitColumns exits;
  ChunkColumns columns;  // the others
  GatheredWords exit_words, answer_words;
  GatheredBytes data;
  MaskTable mask_table;
  ColumnWriter writer;

  void clear_chunk() {
    image.begin_chunk();
    answer_open = false;
    lost = raw_bytes = 0;
    first_tsc = last_tsc = 0;
    exits.clear();
    columns.clear();
    exit_words.clear();
    answer_words.clear();
    data.clear();
    mask_table.clear();
  }

  bool empty() const { return exits.size() == 0 && columns.side.empty(); }
  bool full() const {
    return exits.size() >= kChunkExitsMax || mask_table.full(columns.masks) ||
           raw_bytes >= kChunkRawBytesMax / 2;
  }

  void begin_if_empty() {
    if (!empty()) return;
    first_seq = next_seq;
    base_tsc = previous_tsc;
  }
  void note_time(uint64_t tsc) {
    if (first_tsc == 0) first_tsc = tsc;
    previous_tsc = last_tsc = tsc;
  }

  [[gnu::noinline]] void add_sync(std::span<const uint64_t> sync) {
    image.apply_sync_to(sync, columns.sync_words);
    raw_bytes += (kSyncMasks + kSyncWords) * kWordBytes;
  }
  void add_data(const MomentRecord& moment) {
    if (moment.data.empty()) return;
    data.append(moment.data, moment.data_bytes);
    raw_bytes += moment.data_bytes;
  }
  // Returns the index of the moment's mask.
  [[gnu::always_inline]] uint32_t add_words(uint64_t mask, const MomentRecord& moment,
                                            uint64_t kept_flags, GatheredWords& words) {
    const uint32_t index =
        mask_table.index_of(mask | uint64_t{moment.data_bytes} << kDataBytesShift,
                            moment.flags & kept_flags, columns.masks);
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(mask));
      words.places[i].push_back(image[i]);
    }
    return index;
  }

  [[gnu::always_inline]] void add_exit(const MomentRecord& moment, int32_t ret, uint64_t tsc) {
    begin_if_empty();
    const uint64_t mask =
        image.apply_core(moment.mask, moment.core.data()) & ~(uint64_t{1} << kReasonWord);
    const ReasonWord parts = split_reason_word(image[kReasonWord], stream.byte_order);
    const uint32_t ticks = ticks_number(tsc, previous_tsc, columns.tick_escapes);
    note_time(tsc);
    exits.add_exit({parts.reason, parts.flags, parts.ready, 0u - static_cast<uint32_t>(ret), ticks,
                    add_words(mask, moment, kRecordHasSync, exit_words)});
    if (!moment.sync.empty()) [[unlikely]]
      add_sync(moment.sync);
    add_data(moment);
    exit_data_bytes = moment.data_bytes;
    exit_data_word = moment.data.empty() ? 0 : moment.data[0];
    answer_open = true;
    ++next_seq;
    ++exits_total;
    raw_bytes += 64;
  }

  [[gnu::always_inline]] void add_answer(const MomentRecord& moment, uint64_t tsc) {
    const uint64_t mask = image.apply_core(moment.mask, moment.core.data());
    const uint32_t ticks = ticks_number(tsc, previous_tsc, columns.tick_escapes);
    note_time(tsc);
    exits.add_answer(ticks,
                     1 + add_words(mask, moment, kRecordHasSync | kRecordDataSame, answer_words));
    if (!moment.sync.empty()) [[unlikely]]
      add_sync(moment.sync);
    add_data(moment);
    answer_open = false;
    raw_bytes += 32;
  }

  size_t add(std::span<const uint64_t> words, bool final);
  bool add_moment(RecordKind kind, std::span<const uint64_t> record);
  bool add_other(RecordKind kind, std::span<const uint64_t> record);
  void add_entry(MomentRecord moment, uint64_t tsc);
  void add_side(std::span<const uint64_t> record, uint64_t tsc);
  void add_gap(uint64_t gap_lost, GapReason why, uint64_t tsc);
  bool add_repeat(std::span<const uint64_t> record, uint64_t tsc);
};

}  // namespace kvmtape
