// Where the chunks of a recording are and whether they are any good: those of the file, which
// chunk_finder.h finds, and those that recovery made from rings. Everything above it speaks of
// chunks by their number here.
//
// Nothing of a chunk but its header is kept in memory: about a hundred bytes for up to 32,768
// exits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "replayer/chunk_finder.h"
#include "replayer/trace_health.h"
#include "schema/base/result.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"

namespace kvmtape {

// The chunks of one vCPU (or of the session's ring) in order, by number.
struct ChunkStream {
  uint32_t vcpu_index = 0;
  std::vector<size_t> chunks;
  uint64_t exits = 0;
  uint64_t lost = 0;
  uint64_t first_tsc = 0;
  uint64_t last_tsc = 0;
  uint64_t begin_seq = 0;  // above 0: what came before is in an earlier file, or was let go
  uint64_t end_seq = 0;
};

class ChunkStore {
 public:
  // Finds the chunks of `file`, which outlives the store. An error only if there is nothing to
  // read; all else is in health().
  Result<void> find(std::span<const uint8_t> file);

  // Where the ring of this vCPU had been read up to, as its last chunk in the file says; what it
  // holds is in the file. nullopt: no chunk of it can be read.
  struct RingEnd {
    uint64_t block = 0;
    uint64_t bytes = 0;
    uint64_t end_seq = 0;
  };
  std::optional<RingEnd> ring_end(uint32_t vcpu_index);

  // Appends a chunk of exits that lies in memory.
  void add_from_ring(std::vector<uint8_t> chunk, std::vector<std::pair<uint32_t, uint32_t>> reasons,
                     uint64_t lost);
  // Puts the chunks of each vCPU in order and counts; after the last one has been added.
  void build_streams();

  const Uuid& session() const { return session_; }
  const std::vector<ChunkRef>& chunks() const { return chunks_; }
  std::vector<ChunkStream>& streams() { return streams_; }  // by vCPU index, the session's last
  const std::vector<ChunkStream>& streams() const { return streams_; }
  TraceHealth& health() { return health_; }
  uint64_t folded() const { return folded_; }
  const TraceHealth& health() const { return health_; }

  // The chunk's bytes, if its checksum holds (`verify`) and its header is what the index says.
  Result<std::span<const uint8_t>> bytes(size_t number, bool verify);
  Result<void> open(size_t number, bool verify, ChunkDecoder& decoder);
  // What an unreadable chunk takes in the file.
  uint64_t room_of(size_t number) const;
  // Notes that a chunk cannot be read to its end, and how many of its own exits can be.
  void mark_damaged(size_t number, uint64_t readable_exits, Error why);
  // The same of a chunk of which nothing can be read, unless a walk knows better.
  void mark_unreadable(size_t number, Error why);
  // The same of every chunk that an index names and that is not there; after build_streams().
  void mark_gone();
  // So many of its own exits were read; the others are lost.
  void note_exits(size_t number, uint64_t readable);
  // No session chunk can be read: those that were noted are no redundant damage.
  void note_session_lost();

 private:
  void take_lost(size_t number, uint64_t lost);
  void count_damaged_bytes(size_t number);

  uint64_t file_bytes_ = 0;
  Uuid session_{};
  std::vector<ChunkRef> chunks_;
  std::vector<ChunkStream> streams_;
  std::vector<std::vector<uint8_t>> ring_chunks_;
  TraceHealth health_;
  uint64_t first_damage_ = ~uint64_t{0};  // file offset
  uint64_t folded_ = 0;                   // exits that only a repeat tells of
  uint64_t redundant_sessions_ = 0;       // of health().redundant_chunks
  bool session_lost_ = false;
};

}  // namespace kvmtape
