// The shared memory between the vCPU thread that writes records (producer) and the drain that reads
// them (consumer), who may live in two processes of which either may die at any instruction.
//
//   ring file = RingHeader (one 4096-byte page) | block 0 | block 1 | ... | block n-1
//   block     = BlockHeader (64 bytes) | records ...
//
// Blocks are numbered without end; block number k lies in slot k % block_count. One producer, one
// consumer. Who may touch what:
//   RingHeader::open_block      producer stores (release) after it has prepared that block's header
//   BlockHeader::committed      producer stores (release) after each record: bytes of whole records
//   RingHeader::read_position   consumer stores (release) once the bytes before it are in the trace
//   BlockHeader::generation     producer: 0 while the slot is being reused, else block number + 1
//   RingHeader::stopped_*       consumer, of what it reads and throws away; see StoppedRange
//
// Dropping (RingFull::kDrop): the producer opens block k only when the consumer has left block
// k - block_count; until then exits are counted in lost_total and a gap record follows.
// Overwriting (RingFull::kOverwrite): the producer never waits; it stores generation 0 before it
// touches a slot again, and a consumer accepts a copy of a block only if the generation was the
// same before and after.
//
// A block begins with a keyframe, so that it can be read when those before it are gone. The reader
// trusts nothing here: sizes are checked against the file, records against `committed`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "schema/base/uuid.h"
#include "schema/snapshot.h"

namespace kvmtape {

inline constexpr uint64_t kRingMagic = 0x676e697265706174;  // "tapering", little-endian
inline constexpr uint32_t kBlockMagic = 0x6b6c6274;         // "tblk"
// Raised by any change of this file's structs but for a field whose 0 is what older rings meant; a
// drain and a producer are of one build.
inline constexpr uint32_t kRingVersion = 1;
inline constexpr size_t kRingHeaderBytes = 4096;
// x86 prefetches cache lines in pairs (Intel SDM vol. 3, "adjacent cache line prefetch").
inline constexpr size_t kCacheLinePairBytes = 128;
// The session's own ring (control calls, marks) carries this in place of a vCPU index.
inline constexpr uint32_t kSessionStream = 0xffffffff;

inline constexpr uint32_t kBlockBytesMin = 16 * 1024;  // two moments with sync area and a full page
inline constexpr uint32_t kBlockBytesMax = 256 * 1024;
inline constexpr uint32_t kBlockCountMin = 4;

// What the producer said when it ended in order.
enum class RingEnd : uint32_t {
  kNone = 0,      // not yet, or it was killed
  kUnmapped = 1,  // whoever reads the ring may give it back
  kMapped = 2,    // likewise, but its process, which may not unmap it, would keep the memory
};

// Index is uint64_t in every file; tests use uint8_t to see it wrap.
template <typename Index>
struct BasicRingHeader {
  // Immutable once the file has its name.
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  Uuid session;
  Uuid boot_id;         // /proc/sys/kernel/random/boot_id
  uint32_t vcpu_index;  // ours; kSessionStream for the session ring
  uint32_t vcpu_id;     // KVM's
  uint32_t block_bytes;
  uint32_t block_count;
  uint32_t core_words;
  uint32_t overwrite;  // 0 RingFull::kDrop, 1 RingFull::kOverwrite
  uint32_t writer_pid;
  uint32_t coalesce;  // 1: runs of equal exits are folded into a kRepeat that changes in place
  uint64_t writer_start_time;  // /proc/PID/stat field 22, so that a reused pid is recognised

  // Producer.
  alignas(kCacheLinePairBytes) std::atomic<Index> open_block;
  std::atomic<uint64_t> lost_total;  // exits dropped so far; stored at each drop
  std::atomic<uint64_t> next_seq;    // stored when a block is opened and at each drop
  std::atomic<uint32_t> finished;    // RingEnd
  std::atomic<uint32_t> gap_why;     // GapReason of the last drop; 0 where it was kRingFull

  // Consumer.
  alignas(
      kCacheLinePairBytes) std::atomic<Index> read_block;  // first block not wholly in the trace
  std::atomic<uint64_t> read_bytes;                        // bytes of it that are
  std::atomic<uint32_t> stopped;  // 1: in a ring that coalesces, exits are only counted
  std::atomic<uint64_t> stopped_from, stopped_to;  // in one that does not: sequences
  std::atomic<uint64_t> stopped_dropped;           // of these the first: the ring had been full
};
using RingHeader = BasicRingHeader<uint64_t>;

// Of exits that were dropped last, before a gap record could say so.
inline GapReason why_of_last_gap(const RingHeader& ring) {
  const uint32_t why = ring.gap_why.load(std::memory_order_relaxed);  // relaxed: statistics
  return why == 0 ? GapReason::kRingFull : static_cast<GapReason>(why);
}

struct BlockHeader {  // written by the producer alone
  std::atomic<uint64_t> generation;
  std::atomic<uint64_t> committed;  // bytes of whole records behind this header
  uint32_t magic;
  uint32_t vcpu_index;
  uint64_t first_seq;    // sequence of the next exit when this block was opened
  uint64_t lost_before;  // lost_total when this block was opened
  Uuid boot_id;
  uint64_t reserved;
};

// Exits that came while the recording was stopped: a ring that is consumed takes them like others,
// and its consumer throws them away. Who finds the ring left behind leaves them out by this, and
// says why. What the trace has is not touched by it: the range counts from the trace's end on.
//
//   stop    everything published is in the trace; then stopped_from = the next exit; then
//           stopped_dropped = how many had been dropped before with no gap record yet; then
//           stopped_to = kStoppedNoEnd
//   start   stopped_to = the first exit that is wanted again; its gap reaches the trace later
//
// Each step is one store, behind which the range is true as it stands: before a stop's last one
// it ends where it did, which is nowhere beyond the trace's end. So nobody has to clear it.
struct StoppedRange {
  uint64_t from = 0, to = 0;
  uint64_t dropped = 0;  // of them the first, by a ring that was full before it was stopped
  bool has(uint64_t seq) const { return from <= seq && seq < to; }
};
inline constexpr uint64_t kStoppedNoEnd = ~uint64_t{0};

inline StoppedRange stopped_range(const RingHeader& ring) {
  // acquire: pairs with the release in RingReader::stop, whose `from` is there then
  const uint64_t to = ring.stopped_to.load(std::memory_order_acquire);
  return {ring.stopped_from.load(std::memory_order_relaxed), to,  // relaxed, both: as above
          ring.stopped_dropped.load(std::memory_order_relaxed)};
}

static_assert(sizeof(RingHeader) <= kRingHeaderBytes);
static_assert(sizeof(BlockHeader) == 64);
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(kBlockBytesMin >=
              sizeof(BlockHeader) +
                  2 * kWordBytes * moment_words_max(kCoreWordsS390, true, kDataBytesMax));

}  // namespace kvmtape
