// Records into an Exits chunk and back (chunk_encoder.cc, chunk_decoder.cc, and what they include).
// The drain feeds ChunkEncoder with what stands in a ring; the reader walks with ChunkDecoder. The
// recovery of a ring that was left behind goes through both, so that there is one way to read.
//
// Neither is thread-safe; an encoder belongs to one vCPU's stream, a decoder to one reader.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "schema/base/byte_cursor.h"
#include "schema/base/result.h"
#include "schema/column_codec.h"
#include "schema/snapshot.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct ClockReading {
  uint64_t ticks = 0;
  uint64_t monotonic_ns = 0;
  uint64_t realtime_ns = 0;
};

// Whose records these are; repeated in every chunk.
struct StreamDescription {
  uint32_t vcpu_index = 0;
  uint32_t vcpu_id = 0;
  Architecture architecture = Architecture::kUnknown;
  ByteOrder byte_order = ByteOrder::kLittle;
};

// What else a chunk's header says.
struct ChunkPlace {
  Uuid session{};
  uint64_t cut = 0;
  ClockReading clock;
  uint64_t ticks_per_second = 0;
  uint64_t ring_block = 0;
  uint64_t ring_bytes = 0;
};

class ChunkEncoder {
 public:
  explicit ChunkEncoder(const StreamDescription& stream);
  ~ChunkEncoder();
  ChunkEncoder(ChunkEncoder&&) noexcept;

  // Continues a stream whose beginning somebody else encoded: what the next exit's sequence is, how
  // many were lost before, and when the moment before it was (0: there was none). Before the first
  // add().
  void resume(uint64_t next_seq, uint64_t lost_total, uint64_t previous_tsc = 0);

  // Takes records from the front of `words` and returns how many words it took. It stops before a
  // record when the chunk is full, when the record is cut off or impossible (malformed() is then
  // true), and, unless `final`, before a last exit whose answer has not come yet: an exit and its
  // answer always stand in one chunk.
  size_t add(std::span<const uint64_t> words, bool final);
  bool full() const;
  bool malformed() const;
  bool empty() const;      // nothing to write
  uint32_t exits() const;  // in this chunk so far
  uint64_t exits_total() const;
  uint64_t lost_total() const;
  uint64_t next_seq() const;
  uint64_t first_tsc() const;  // of this chunk
  // Notes exits that the producer counted as lost and for which no gap record can come any more.
  void add_gap(uint64_t lost, GapReason why, uint64_t tsc);
  // The same of `exits` that came up to the end of a stop, of which a full ring had dropped the
  // first `dropped`, at most all, before it began. Returns how many are the stop's.
  uint64_t add_stop(uint64_t exits, uint64_t dropped, uint64_t tsc);

  // From the next finish() on: less time, more bytes; or as usual again.
  void set_haste(bool haste);
  // Appends the chunk, header and body, to `out` and begins the next one. Returns false and appends
  // nothing if there is nothing to write. `reasons`, if given, receives (reason, count) pairs.
  bool finish(const ChunkPlace& place, std::vector<uint8_t>& out,
              std::vector<std::pair<uint32_t, uint32_t>>* reasons = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One exit as it was recorded: borrowed bytes, valid until the cursor moves.
struct RecordedExit {
  uint64_t seq = 0;
  int32_t ret = 0;      // 0 or the negated errno
  uint32_t reason = 0;  // in the host's byte order, for counting; kvm_run has the raw bytes
  uint64_t tsc = 0;
  // Not the exit_reason that KVM_RUN found, so that it has written this one; false: nobody knows.
  bool reason_is_new = false;
  uint64_t previous_tsc = 0;         // of the moment before; 0: there was none
  std::span<const uint8_t> kvm_run;  // 288 (304) bytes, or all with the sync area
  std::span<const uint8_t> data;     // at io.data_offset
  bool has_answer = false;
  uint64_t answer_tsc = 0;
  std::span<const uint8_t> answer_kvm_run;
  std::span<const uint8_t> answer_data;
};

// Any other record: borrowed, little-endian, as snapshot.h describes the kind.
struct SideRecord {
  RecordKind kind{};
  uint8_t flags = 0;
  int32_t ret = 0;
  uint64_t tsc = 0;
  uint64_t next_seq = 0;             // of the exit that follows it (a gap: after the gap)
  bool belongs_to_exit = false;      // stands between the last exit and its answer
  std::span<const uint8_t> payload;  // behind the RecordHeader, whole words
};

// Columns of an Exits chunk, decompressed when they are asked for. Borrows the chunk's bytes.
class ChunkDecoder {
 public:
  ChunkDecoder();
  ~ChunkDecoder();
  ChunkDecoder(ChunkDecoder&&) noexcept;
  ChunkDecoder& operator=(ChunkDecoder&&) noexcept;

  // `chunk` is header and body; the CRC has been verified by whoever found it. Replaces what was
  // open before; buffers are kept.
  Result<void> open(std::span<const uint8_t> chunk);

  const ChunkHeader& header() const;
  const StreamDescription& stream() const;
  const ClockReading& clock() const;
  uint64_t ticks_per_second() const;
  uint64_t lost() const;
  uint64_t lost_total() const;
  uint64_t previous_tsc() const;  // of the moment before the first in this chunk; 0: there was none

  // Only what counting needs: a reason and two durations for each exit. Durations are in ticks;
  // guest[i] is kNoTicks when there was no moment before, monitor[i] when there is no answer.
  static constexpr uint64_t kNoTicks = ~uint64_t{0};
  struct Summary {
    std::span<const uint32_t> reasons;
    std::span<const uint32_t> errnos;
    std::span<const uint64_t> guest;
    std::span<const uint64_t> monitor;
  };
  Result<Summary> summarize();

  // Prepares the walk; then next() until kEnd. kCorrupt: the columns contradict each other, error()
  // says how; what was handed out before is good.
  Result<void> begin();
  enum class Item { kExit, kSide, kEnd, kCorrupt };
  Item next();
  // next() gives registers or guest memory that were taken with exit(), which stays as it is.
  bool taken_follows() const;
  const RecordedExit& exit() const;
  const SideRecord& side() const;
  const Error& error() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Header and CRC of the chunk that begins at `bytes`; ok() only if all of it is there and intact.
// `file_offset` goes into the error.
Result<ChunkHeader> check_chunk(std::span<const uint8_t> bytes, uint64_t file_offset);

// Puts a ChunkHeader with its CRC in front of `body` (a multiple of 8 bytes long) and appends both.
void append_chunk(ChunkHeader header, std::span<const uint8_t> body, std::vector<uint8_t>& out);

}  // namespace kvmtape
