// One vCPU's items in order of sequence, chunk by chunk, one chunk open at a time. TraceReader
// merges these by time. A chunk is opened only when its turn comes: until then its header says when
// it begins, so that an idle vCPU costs nothing.
//
// What cannot be read comes out as a gap (GapReason::kDamaged); what stands in two chunks comes out
// once. What current() borrows lives until advance().
#pragma once

#include <cstdint>
#include <optional>

#include "replayer/chunk_store.h"
#include "replayer/owned_exit.h"
#include "replayer/trace_clock.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class StreamCursor {
 public:
  // All of these outlive the cursor. `stream` is its number in store.streams().
  StreamCursor(ChunkStore& store, const TraceClock& clock, const Selection& selection,
               size_t stream, bool verify);

  // Moves to the next item or unopened chunk; false at the end.
  bool advance();
  // When current() happened, in ticks, never falling; of an unopened chunk: when it begins.
  uint64_t ticks() const { return ticks_; }
  size_t stream() const { return number_in_store_; }
  // False: a chunk begins here and current() is not known before advance().
  bool has_item() const { return has_item_; }
  const Item& current() const { return item_; }
  // The next item was taken with the exit at hand, which stays as it is.
  bool taken_follows() const {
    return phase_ == Phase::kInside && exit_selected_ && decoder_.taken_follows();
  }

 private:
  bool next_chunk();
  bool next_in_chunk();
  void keep_repeatable();
  bool take_exit();
  bool take_side();
  void emit_gap(Gap gap, uint64_t tsc);
  void abandon_chunk(Error why);
  bool chunk_selected(const ChunkRef& ref) const;
  bool seq_selected(uint64_t first, uint64_t last) const;
  bool time_selected(int64_t ns) const;
  void move_to(uint64_t tsc) {
    if (tsc > ticks_) ticks_ = tsc;
  }

  ChunkStore& store_;
  const TraceClock& clock_;
  const Selection& selection_;
  const size_t number_in_store_;
  const ChunkStream& stream_;
  const bool verify_;

  enum class Phase : uint8_t { kBetween, kBefore, kInside };
  Phase phase_ = Phase::kBetween;
  size_t next_ = 0;    // of stream_.chunks
  size_t number_ = 0;  // of the chunk at hand
  ChunkDecoder decoder_;
  // What a repeat that begins at `repeatable_end_` repeats: the last exit, in the chunk at hand or
  // kept from the one before; nullptr: it is not here.
  const RecordedExit* repeatable_ = nullptr;
  uint64_t repeatable_end_ = 0;
  OwnedExit kept_;
  uint64_t read_in_chunk_ = 0;  // exits that stand in no earlier chunk
  uint64_t seq_ = 0;            // of what comes next in this chunk
  bool exit_answered_ = true;   // the last exit read had an answer
  bool exit_selected_ = true;   // the last exit read was handed out
  bool behind_exit_ = false;    // nothing but what was taken with that exit was read since
  bool has_item_ = false;
  uint64_t ticks_ = 0;
  Item item_;
};

}  // namespace kvmtape
