// The chunks that the indexes of a file promise, held against those that a scan has found: where
// whole chunks are gone and their neighbours stand together, nothing else tells.
#pragma once

#include <cstdint>
#include <vector>

#include "replayer/chunk_finder.h"

namespace kvmtape {

class PromisedChunks {
 public:
  // One after the other in file order.
  void add(TraceIndex part);
  // Puts each chunk of exits that is promised and not in `chunks` where it stood: a reference
  // without bytes, which nobody can read.
  void put_missing(std::vector<ChunkRef>& chunks) const;

 private:
  std::vector<IndexEntry> entries_;
};

}  // namespace kvmtape
