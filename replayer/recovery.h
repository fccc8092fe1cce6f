// What a recording's rings hold beyond its file: after the recorder, the monitor or both were
// killed, or while they still run. The rings' records become chunks in memory, so that there is one
// way to read. Nothing in the rings is changed and nothing in them is trusted.
//
// Two steps, because a living recorder moves records from ring to file: copy the rings, then look
// at the file, then take from the copies what the file does not have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replayer/chunk_store.h"
#include "schema/ring_reader.h"
#include "schema/session_codec.h"

namespace kvmtape {

// One ring's published records, block by block, each block from its beginning.
struct RingSnapshot {
  struct Block {
    uint64_t number = 0;
    uint64_t first_seq = 0;
    uint64_t lost_before = 0;
    std::vector<uint64_t> words;
  };
  std::string path;
  uint32_t vcpu_index = 0;
  uint32_t vcpu_id = 0;
  bool overwrite = false;
  bool keeps_last = false;  // a flight recorder's: nobody empties it
  uint64_t lost_total = 0;  // exits that the producer dropped before the copy was made
  uint64_t counted_to = 0;  // the next exit's sequence where the last were only counted: stopped
  StoppedRange stopped;     // exits that its recorder read and threw away
  std::vector<Block> blocks;
};

struct RingSnapshots {
  std::vector<RingSnapshot> rings;
  std::vector<Error> problems;  // rings that could not be read: another version, cut off, damaged
  bool forbidden = false;       // one of `problems`: this user may not look into their directory
  bool writer_alive = false;
  uint32_t ring_writer_pid = 0;  // a process that still runs and made one of the vCPUs' rings
  uint64_t bytes = 0;            // of the session's files
};

// All rings of `session` in `directory`; those of other sessions are passed over. A directory that
// is not there holds none: an orderly end removes it.
RingSnapshots copy_rings(const std::string& directory, const Uuid& session);

// Adds to `store` what the ring holds beyond the file; problems go into its health().
void read_ring(const RingSnapshot& ring, const Session& session, ChunkStore& store);

}  // namespace kvmtape
