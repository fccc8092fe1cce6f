// Reads a trace front to back, chunk by chunk, with nothing but the schema's own decoders: what the
// recorder's tests hold against what they laid down. A torn or damaged tail ends the walk as the
// format says. No index, no merging, no rings: that is the replayer's business.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {

struct WalkedStream {
  uint64_t exits = 0;
  uint64_t lost = 0;        // sum over the gaps
  uint64_t next_seq = 0;    // after the last thing
  bool in_sequence = true;  // every exit and chunk stood where the one before it ended
};

struct WalkedTrace {
  Session session;                           // the last one in the file
  std::map<uint32_t, WalkedStream> streams;  // by vCPU index
  uint64_t chunks = 0;
  uint64_t cuts = 0;
  bool sealed = false;

  uint64_t exits() const;
  uint64_t lost() const;
};

// Borrowed until the next call, as from ChunkDecoder; exactly one of the two is set.
struct WalkedItem {
  uint32_t vcpu_index;
  const RecordedExit* exit;
  const SideRecord* side;
};

Result<WalkedTrace> walk_trace(const std::string& path,
                               const std::function<void(const WalkedItem&)>& visit);
inline Result<WalkedTrace> walk_trace(const std::string& path) {
  return walk_trace(path, [](const WalkedItem&) {});
}

// The parts of a side record.
GapRecord gap_in(const SideRecord& side);
std::string mark_in(const SideRecord& side);
template <typename Record>
Record record_in(const SideRecord& side) {
  Record record{};
  if (side.payload.size() >= sizeof record)
    std::copy_n(side.payload.data(), sizeof record, reinterpret_cast<uint8_t*>(&record));
  return record;
}

}  // namespace kvmtape::testing
