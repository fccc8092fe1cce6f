// Finds the chunks of a trace file: by its index, or, where that is missing or damaged, by
// scanning. Damage never ends the search: it goes on at the next intact chunk, and what was skipped
// is noted.
//
// Pure functions of the file's bytes, which outlive what is found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "replayer/trace_health.h"
#include "schema/base/result.h"
#include "schema/file_order.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct ChunkRef {
  IndexEntry entry;
  std::span<const uint8_t> bytes;  // from the header on, maybe beyond the chunk; empty: it is gone
  bool checked = false;            // its checksum was computed and holds
  bool damaged = false;            // counted in health already
  uint64_t damaged_bytes = 0;      // and so are these bytes, if nothing of it can be read
  bool from_ring = false;
  // Of a chunk of exits, by what precedes it in its stream:
  bool duplicate = false;       // everything in it stands in an earlier chunk
  uint64_t missing_before = 0;  // exits between the chunk before and this one
  uint64_t skip_below = 0;      // sequences below stand in an earlier chunk
  // Of what stands in no earlier chunk, as counted in health: until it is read, of an overlapping
  // chunk as many exits as it can have.
  uint64_t exits = 0, lost = 0;

  bool is_gone() const { return bytes.empty(); }  // an index names it, and it is not there
  uint64_t own() const {                          // sequences that stand in no earlier chunk
    return entry.end_seq - std::min(entry.end_seq, std::max(entry.first_seq, skip_below));
  }
};

struct FoundChunks {
  Uuid session{};
  std::vector<ChunkRef> chunks;  // in file order, but for index chunks
  TraceHealth health;
  uint64_t first_damage = ~uint64_t{0};  // file offset
};

// An error only if there is nothing to read; all else is in health.
Result<FoundChunks> find_chunks(std::span<const uint8_t> file);

// The caller guarantees a whole header; nothing in it was checked.
inline ChunkHeader header_at(std::span<const uint8_t> bytes) {
  return load_file_struct<ChunkHeader>(bytes.data());
}
// "700 bytes behind its end belong to nothing ..."; empty where nothing stands there.
std::string behind_text(const TraceHealth& health);
// Whether the numbers of a chunk of exits can be true.
bool holds_together(const IndexEntry& entry);
inline uint64_t chunk_bytes(const ChunkHeader& header) {
  return uint64_t{header.header_bytes} + header.body_bytes;
}

}  // namespace kvmtape
