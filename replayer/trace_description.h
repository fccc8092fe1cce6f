// What a recording says of itself, put together from whichever of its chunks can be read: the
// session, its vCPUs, its clock. A chunk that cannot be read is marked so in the store.
//
// For the reader that owns the store; not thread-safe. `verify`: checksums are computed first.
#pragma once

#include "replayer/chunk_store.h"
#include "replayer/trace_clock.h"
#include "schema/session_codec.h"

namespace kvmtape {

// The last session chunk that can be read wins; without any, the chunks of exits say the least that
// decoding needs.
Session find_session(ChunkStore& store, bool verify);

// Adds those that were attached after the last session chunk that can be read: their chunks name
// them.
void add_unlisted_vcpus(ChunkStore& store, bool verify, Session& session);

TraceClock find_clock(ChunkStore& store, bool verify, const Session& session);

}  // namespace kvmtape
