// The consumer's end of a ring (schema/ring_layout.h has the protocol). One thread at a time, in
// the producer's process or in another. It copies bytes out and trusts nothing that it reads: sizes
// come from the mapping, and a record that does not fit into what was committed ends its block.
//
// Two positions: what poll() has handed out, and what release() has given back to the producer.
// The second moves only when the first is safe in the trace file.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/ring_layout.h"

namespace kvmtape {

struct RingPosition {
  uint64_t block = 0;  // block number
  uint64_t bytes = 0;  // of records in it
  bool operator==(const RingPosition&) const = default;
};

// What one poll() found, in the reader's own buffer: whole records, valid until the next poll().
struct RingBatch {
  std::span<const uint64_t> words;
  RingPosition begin;
  RingPosition end;
  bool block_start = false;  // words begin at a block's keyframe
  uint64_t first_seq = 0;    // with block_start: from the block's header
  uint64_t lost_before = 0;
  uint64_t skipped_blocks = 0;  // overwritten, or unreadable, before this batch
};

template <typename Index>
class BasicRingReader {
 public:
  using Header = BasicRingHeader<Index>;

  // `ring` has been validated by ring_file.h; it outlives the reader. Begins where the last
  // consumer stopped.
  explicit BasicRingReader(Header* ring)
      : ring_(ring),
        blocks_(reinterpret_cast<uint8_t*>(ring) + ring->header_bytes),
        block_bytes_(ring->block_bytes),
        block_count_(ring->block_count) {
    number_ = ring->read_block.load(std::memory_order_acquire);  // pairs with an earlier release()
    consumed_ = ring->read_bytes.load(std::memory_order_relaxed);  // relaxed: own side's value
    if (consumed_ > block_bytes_ - sizeof(BlockHeader) || consumed_ % kWordBytes != 0)
      consumed_ = 0;
  }

  // How many words poll_into() may write.
  size_t batch_words_max() const { return block_bytes_ / kWordBytes; }

  // The next published records, at most what one block holds; empty words: nothing new.
  RingBatch poll() {
    buffer_.resize(batch_words_max());
    return poll_into(buffer_.data());
  }
  // The same into the caller's memory, room for batch_words_max() words.
  RingBatch poll_into(uint64_t* space) {
    RingBatch batch;
    for (uint32_t tries = 0; tries <= block_count_; ++tries) {
      // acquire: pairs with the release in RingWriter::start_block. Read before `committed`: if a
      // later block was open then, this block's `committed` is final.
      const Index open = ring_->open_block.load(std::memory_order_acquire);
      const Index ahead = static_cast<Index>(open - number_);
      if (ahead >= block_count_) {  // overwritten: go on at the oldest that may still be there
        const Index oldest = static_cast<Index>(open - (block_count_ - 1));
        batch.skipped_blocks += static_cast<Index>(oldest - number_);
        move_to(oldest);
        continue;
      }
      if (!copy_block(batch, space)) {  // its producer is reusing it
        if (ahead == 0) return batch;
        ++batch.skipped_blocks;
        move_to(static_cast<Index>(number_ + 1));
        continue;
      }
      if (!batch.words.empty() || ahead == 0) return batch;
      move_to(static_cast<Index>(number_ + 1));
    }
    return batch;
  }

  // Words that poll() handed out, as they are now: a coalescing producer brings its last record up
  // to date. False: they have been overwritten.
  bool reread(RingPosition at, std::span<uint64_t> words) const {
    auto* bytes = blocks_ + (static_cast<Index>(at.block) % block_count_) * size_t{block_bytes_};
    auto* block = reinterpret_cast<BlockHeader*>(bytes);
    auto* from = reinterpret_cast<uint64_t*>(bytes + sizeof(BlockHeader) + at.bytes);
    for (size_t i = 0; i < words.size(); ++i)  // acquire: pairs with the release of the count
      words[i] = std::atomic_ref(from[i]).load(std::memory_order_acquire);
    // As in copy_block.
    return block->generation.fetch_add(0, std::memory_order_seq_cst) == at.block + 1;
  }

  RingPosition position() const { return {number_, consumed_}; }

  // Everything before `position` is in the trace: the producer may have it back.
  void release(RingPosition position) {
    ring_->read_bytes.store(position.bytes, std::memory_order_relaxed);  // relaxed: our side only
    // release: pairs with the acquire in RingWriter::next_block; our copies are done
    ring_->read_block.store(static_cast<Index>(position.block), std::memory_order_release);
  }

  // The recording is stopped: what comes before `seq` is in the trace, what comes from there on is
  // not wanted, and may be released without being there; but for the first `dropped` of them, which
  // the producer had dropped by then and has yet to tell of. Any number of times, by turns with
  // go_on(); StoppedRange says what whoever finds the ring makes of it.
  void stop(uint64_t seq, uint64_t dropped = 0) {
    // release, all: pairs with the acquire in stopped_range; none overtakes the store before
    ring_->stopped_from.store(seq, std::memory_order_release);
    ring_->stopped_dropped.store(dropped, std::memory_order_release);   // as above
    ring_->stopped_to.store(kStoppedNoEnd, std::memory_order_release);  // as above
  }
  // Exits are wanted again from `seq` on.
  void go_on(uint64_t seq) {
    ring_->stopped_to.store(seq, std::memory_order_release);  // pairs with stopped_range
  }

  // Blocks between what was released and the producer, of block_count: how full the ring is.
  uint32_t blocks_in_use() const {
    const Index open = ring_->open_block.load(std::memory_order_relaxed);      // relaxed: a hint
    const Index released = ring_->read_block.load(std::memory_order_relaxed);  // relaxed: own value
    return static_cast<uint32_t>(static_cast<Index>(open - released)) + 1;
  }
  // Full ones that poll() has not handed out to their end.
  uint32_t blocks_unread() const {
    const Index open = ring_->open_block.load(std::memory_order_relaxed);  // relaxed: a hint
    return static_cast<uint32_t>(static_cast<Index>(open - number_));
  }
  uint32_t block_count() const { return block_count_; }
  bool finished() const {
    return ring_->finished.load(std::memory_order_acquire) != 0;  // pairs with RingWriter::finish
  }
  // Exits dropped so far, those included whose gap record has not been written yet.
  uint64_t lost_total() const {
    // acquire: pairs with the release in RingWriter::drop; poll() then finds what came before
    return ring_->lost_total.load(std::memory_order_acquire);
  }
  // Sequence after the last exit that the producer told of: exact once it has finished.
  uint64_t next_seq() const {
    return ring_->next_seq.load(std::memory_order_relaxed);  // relaxed: ordered by `finished`
  }

 private:
  void move_to(Index number) {
    number_ = number;
    consumed_ = 0;
  }

  // Copies what is new in block number_; false if the block is not (or no longer) that one.
  bool copy_block(RingBatch& batch, uint64_t* space) {
    auto* bytes = blocks_ + (number_ % block_count_) * size_t{block_bytes_};
    auto* block = reinterpret_cast<BlockHeader*>(bytes);
    const uint64_t expected = uint64_t{number_} + 1;
    // acquire: pairs with the release in RingWriter::start_block
    if (block->generation.load(std::memory_order_acquire) != expected) return false;
    // acquire: pairs with the release in RingWriter::commit
    uint64_t committed = block->committed.load(std::memory_order_acquire);
    const uint64_t room = block_bytes_ - sizeof(BlockHeader);
    if (committed > room) committed = room;
    if (committed <= consumed_) {
      batch.words = {};
      return true;
    }
    // relaxed, both: as the words below. Nothing goes into the batch before it is known to be
    // whole.
    const uint64_t first_seq = std::atomic_ref(block->first_seq).load(std::memory_order_relaxed);
    const uint64_t lost_before =
        std::atomic_ref(block->lost_before).load(std::memory_order_relaxed);
    auto* from = reinterpret_cast<uint64_t*>(bytes + sizeof(BlockHeader));
    const size_t first = consumed_ / kWordBytes;
    const size_t count = committed / kWordBytes - first;
    for (size_t i = 0; i < count; ++i)  // relaxed: ordered by `committed` and checked below
      space[i] = std::atomic_ref(from[first + i]).load(std::memory_order_relaxed);
    // The read-modify-write keeps the loads above before it; pairs with the exchange in
    // RingWriter::start_block.
    if (ring_->overwrite != 0 &&
        block->generation.fetch_add(0, std::memory_order_seq_cst) != expected)
      return false;
    batch.words = {space, count};
    batch.begin = {number_, consumed_};
    batch.block_start = consumed_ == 0;
    batch.first_seq = first_seq;
    batch.lost_before = lost_before;
    consumed_ = committed;
    batch.end = {number_, consumed_};
    return true;
  }

  Header* ring_;
  uint8_t* blocks_;
  uint32_t block_bytes_;
  uint32_t block_count_;
  Index number_ = 0;       // block being read
  uint64_t consumed_ = 0;  // bytes of it handed out
  std::vector<uint64_t> buffer_;
};
using RingReader = BasicRingReader<uint64_t>;

}  // namespace kvmtape
