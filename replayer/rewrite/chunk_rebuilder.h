// One chunk of exits, encoded anew: as far as it can be read, without what an earlier chunk holds,
// and as an editor changes it. What comes out is at least one chunk unless nothing is left. One
// chunk, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "replayer/rewrite/record_writer.h"
#include "replayer/rewrite/trace_rewriter.h"
#include "schema/base/result.h"
#include "schema/chunk_codec.h"

namespace kvmtape {

struct RebuiltChunk {
  std::vector<uint8_t> bytes;
  uint64_t lost = 0;
  uint64_t exits = 0;
  std::vector<std::pair<uint32_t, uint32_t>> reasons;
};

class ChunkRebuilder {
 public:
  using Sink = std::function<Result<void>(const RebuiltChunk&)>;

  ChunkRebuilder(const StreamDescription& stream, const ChunkPlace& place, Sink sink)
      : place_(place),
        sink_(std::move(sink)),
        encoder_(stream),
        writer_(core_words_of(stream.architecture)) {}

  // `chunk` is open. Sequences from `skip_below` to `end_seq` come out; those that cannot be read,
  // as a gap. Returns how many exits that gap has.
  Result<uint64_t> rebuild(ChunkDecoder& chunk, uint64_t skip_below, uint64_t end_seq,
                           RecordEditor* editor);
  // Instead of a chunk that cannot be read.
  Result<void> write_gap(uint64_t first_seq, uint64_t lost, uint64_t tsc);

 private:
  void start(uint64_t seq, uint64_t previous_tsc);
  bool add_side(const SideRecord& from, uint64_t seq, RecordEditor* editor);
  Result<bool> feed();
  Result<void> flush();

  ChunkPlace place_;
  Sink sink_;
  ChunkEncoder encoder_;
  RecordWriter writer_;
  bool started_ = false;
  uint64_t lost_flushed_ = 0;
};

}  // namespace kvmtape
