// The producer's end of a ring (schema/ring_layout.h has the protocol). One thread at a time; no
// lock, heap, system call or exception. The writer never waits: where there is no room, reserve()
// says so and the caller counts the exit with drop(); the gap record follows by itself in front of
// the next record that fits.
//
// Index is uint64_t but in tests, where uint8_t makes block numbers wrap.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "schema/base/byte_cursor.h"
#include "schema/ring_layout.h"

namespace kvmtape {

// A word of the ring as either side touches it: relaxed, because `committed` (release by the
// producer, acquire by the consumer) orders it, and atomic because an overwriting producer may
// write while a reader copies.
inline void store_ring_word(uint64_t* word, uint64_t value) {
  std::atomic_ref<uint64_t>(*word).store(value,
                                         std::memory_order_relaxed);  // pairs with `committed`
}
inline void store_ring_number(uint64_t* word, uint64_t value) {
  store_ring_word(word, kHostByteOrder == ByteOrder::kLittle ? value : byte_swapped(value));
}

inline constexpr uint32_t kGapRecordWords =
    kRecordHeaderWords + static_cast<uint32_t>(sizeof(GapRecord) / kWordBytes);

// First word of a RecordHeader; the second is the time.
constexpr uint64_t record_word(RecordKind kind, uint8_t flags, uint32_t words, int32_t ret) {
  return words | uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24 |
         uint64_t{static_cast<uint32_t>(ret)} << 32;
}

template <typename Index>
class BasicRingWriter {
 public:
  using Header = BasicRingHeader<Index>;

  // `ring` is a mapped ring whose immutable fields are set; it outlives the writer.
  void bind(Header* ring) noexcept {
    adopt(ring);
    start_block(0);
  }
  // Goes on where the last writer of a bound ring stopped; the caller sees to it that there is one
  // at a time. Drops whose gap record is still due are found by whoever reads the ring to its end.
  void resume(Header* ring) noexcept {
    adopt(ring);
    // relaxed, all of them: the caller's lock orders one writer behind another
    number_ = ring->open_block.load(std::memory_order_relaxed);
    next_seq_ = ring->next_seq.load(std::memory_order_relaxed);
    lost_total_ = ring->lost_total.load(std::memory_order_relaxed);
    auto* bytes = blocks_ + (number_ % block_count_) * size_t{block_bytes_};
    block_ = reinterpret_cast<BlockHeader*>(bytes);
    committed_ = block_->committed.load(std::memory_order_relaxed);  // relaxed: as above
    cursor_ = reinterpret_cast<uint64_t*>(bytes + sizeof(BlockHeader) + committed_);
    end_ = reinterpret_cast<uint64_t*>(bytes + block_bytes_);
    fresh_ = committed_ == 0;
  }
  bool bound() const { return ring_ != nullptr; }

  // Room for `words` in one block, or nullptr. fresh_block() then tells whether what is written
  // there is the first in its block and must be a keyframe.
  uint64_t* reserve(uint32_t words) noexcept {
    if (lost_pending_ != 0) [[unlikely]]
      return reserve_after_gap(words);
    if (cursor_ + words <= end_) [[likely]]
      return cursor_;
    return next_block() ? cursor_ : nullptr;
  }
  bool fresh_block() const { return fresh_; }
  bool coalesces() const { return coalesce_; }
  // Nothing consumes a ring that coalesces, so what is not to be kept must not come into it.
  bool stopped() const {
    // relaxed: exits that race with the stop came before it
    return coalesce_ && ring_->stopped.load(std::memory_order_relaxed) != 0;
  }

  // Publishes `words` words, written at what reserve() returned.
  void commit(uint32_t words) noexcept {
    cursor_ += words;
    committed_ += words * kWordBytes;
    fresh_ = false;
    // release: pairs with the acquire in RingReader::copy_block
    block_->committed.store(committed_, std::memory_order_release);
  }

  // One more exit has been produced (and published with the next commit).
  void count_exit() noexcept { ++next_seq_; }
  // One more exit has been produced and is not kept.
  void drop(GapReason why = GapReason::kRingFull) noexcept {
    if (why != gap_why_) [[unlikely]] {
      if (lost_pending_ != 0) reserve_after_gap(0);  // two reasons, two gaps
      gap_why_ = why;
      // relaxed: ordered by `next_seq` as far as it matters, to whoever reads a dead producer's
      // ring
      ring_->gap_why.store(static_cast<uint32_t>(why), std::memory_order_relaxed);
    }
    ++next_seq_;
    ++lost_pending_;
    ++lost_total_;
    // release: pairs with the acquire in RingReader::lost_total
    ring_->lost_total.store(lost_total_, std::memory_order_release);
    // relaxed: statistics; a reader of a dead producer's ring sees the last value
    ring_->next_seq.store(next_seq_, std::memory_order_relaxed);
  }
  // No more will come; lets the drain tell an orderly end from a death.
  void finish(RingEnd end = RingEnd::kUnmapped) noexcept {
    ring_->next_seq.store(next_seq_, std::memory_order_relaxed);  // relaxed: ordered by `finished`
    ring_->finished.store(static_cast<uint32_t>(end),
                          std::memory_order_release);  // pairs with RingReader::finished
  }

  uint64_t next_seq() const { return next_seq_; }
  uint64_t lost_total() const { return lost_total_; }
  void set_clock_for_gaps(uint64_t tsc) { gap_tsc_ = tsc; }

 private:
  void adopt(Header* ring) noexcept {
    ring_ = ring;
    blocks_ = reinterpret_cast<uint8_t*>(ring) + ring->header_bytes;
    block_bytes_ = ring->block_bytes;
    block_count_ = ring->block_count;
    overwrite_ = ring->overwrite != 0;
    coalesce_ = ring->coalesce != 0;
  }

  __attribute__((noinline)) uint64_t* reserve_after_gap(uint32_t words) noexcept {
    if (cursor_ + words + kGapRecordWords > end_ && !next_block()) return nullptr;
    uint64_t* out = cursor_;
    store_ring_number(out++, record_word(RecordKind::kGap, 0, kGapRecordWords, 0));
    store_ring_number(out++, gap_tsc_);
    store_ring_number(out++, next_seq_ - lost_pending_);
    store_ring_number(out++, lost_pending_);
    store_ring_number(out++, lost_total_);
    store_ring_number(out++, static_cast<uint64_t>(gap_why_));
    const bool was_fresh = fresh_;
    commit(kGapRecordWords);
    fresh_ = was_fresh;
    lost_pending_ = 0;
    return cursor_;
  }

  __attribute__((noinline)) bool next_block() noexcept {
    const Index next = static_cast<Index>(number_ + 1);
    if (!overwrite_ && static_cast<Index>(next - read_block_) >= block_count_) {
      // acquire: pairs with the release in RingReader::release; what it read may be overwritten
      read_block_ = ring_->read_block.load(std::memory_order_acquire);
      if (static_cast<Index>(next - read_block_) >= block_count_) return false;
    }
    start_block(next);
    return true;
  }

  void start_block(Index number) noexcept {
    number_ = number;
    auto* bytes = blocks_ + (number % block_count_) * size_t{block_bytes_};
    block_ = reinterpret_cast<BlockHeader*>(bytes);
    // The old generation must be gone before the first word of the new one is there. An exchange
    // that acquires keeps later stores behind it; pairs with the two loads in
    // RingReader::copy_block.
    block_->generation.exchange(0, std::memory_order_seq_cst);
    block_->committed.store(0, std::memory_order_relaxed);  // relaxed: ordered by `generation`
    block_->magic = kBlockMagic;
    block_->vcpu_index = ring_->vcpu_index;
    // A reader may still be looking at the slot's old block: atomic, as the records are.
    store_ring_word(&block_->first_seq, next_seq_ - lost_pending_);
    store_ring_word(&block_->lost_before, lost_total_ - lost_pending_);
    block_->boot_id = ring_->boot_id;
    // release: pairs with the acquire of `generation` in RingReader::copy_block
    block_->generation.store(uint64_t{number} + 1, std::memory_order_release);
    ring_->next_seq.store(next_seq_, std::memory_order_relaxed);  // relaxed: statistics
    // release: pairs with the acquire in RingReader::poll
    ring_->open_block.store(number, std::memory_order_release);
    cursor_ = reinterpret_cast<uint64_t*>(bytes + sizeof(BlockHeader));
    end_ = reinterpret_cast<uint64_t*>(bytes + block_bytes_);
    committed_ = 0;
    fresh_ = true;
  }

  // Touched by every record.
  uint64_t* cursor_ = nullptr;
  uint64_t* end_ = nullptr;
  BlockHeader* block_ = nullptr;
  uint64_t committed_ = 0;
  uint64_t next_seq_ = 0;
  uint64_t lost_pending_ = 0;
  bool fresh_ = true;
  // Touched when a block is opened.
  bool overwrite_ = false;
  bool coalesce_ = false;
  Index number_ = 0;
  Index read_block_ = 0;
  uint32_t block_bytes_ = 0;
  uint32_t block_count_ = 0;
  uint64_t lost_total_ = 0;
  uint64_t gap_tsc_ = 0;
  GapReason gap_why_ = GapReason::kRingFull;
  uint8_t* blocks_ = nullptr;
  Header* ring_ = nullptr;
};
using RingWriter = BasicRingWriter<uint64_t>;

}  // namespace kvmtape
