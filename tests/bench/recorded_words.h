// The real streams as the words that capture leaves in its rings, for what works on them without a
// vCPU's thread: the encoder and the decoder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_codec.h"
#include "tests/bench/workload.h"

namespace kvmtape::bench {

// Records of one vCPU, with the places where an exit begins.
struct RecordedWords {
  std::vector<uint64_t> words;
  std::vector<size_t> exit_starts;
  size_t exits() const { return exit_starts.size(); }
  // Whole exits [begin, end), the answers with them.
  std::span<const uint64_t> slice(size_t begin, size_t end) const;
};

// `with_answers` false: exits alone, as a stream without answers would be recorded.
RecordedWords record_track(const Track& track, bool with_answers);

struct Encoded {
  double seconds = 0;
  uint64_t exits = 0;
  uint64_t bytes = 0;
};
// All of it in chunks of `chunk_exits`, each standing alone; `chunks` (may be null) receives them.
Encoded encode(const RecordedWords& recorded, size_t chunk_exits,
               std::vector<std::vector<uint8_t>>* chunks = nullptr);

// The same rows as they stand in a raw stream (time, result, 288 bytes of kvm_run, data), each
// block of `chunk_exits` exits compressed by zstd at level 3 for itself.
Encoded compress_raw_rows(const Track& track, size_t chunk_exits, bool with_answers);

}  // namespace kvmtape::bench
