// Writes what stands in rings into a trace file without taking it out of them: the producers run on
// and may overwrite the oldest while it is read, which then is not there. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "recorder/flight/crash_slices.h"
#include "schema/ring_layout.h"
#include "schema/session_codec.h"
#include "schema/trace_file.h"

namespace kvmtape {

struct SnapshotRing {
  RingHeader* ring;
  const CrashSlices* crashes;  // nullptr: of the session's ring
};

// Exits that could not be recorded at all, by vCPU.
using LostVcpus = std::span<const std::pair<SessionVcpu, uint64_t>>;

// The file is sealed afterwards: header, every ring from its oldest block up to what was published
// when it was this ring's turn, and a cut at `now`.
Result<void> write_ring_snapshot(TraceFile& file, const Session& session,
                                 std::span<const SnapshotRing> rings, LostVcpus lost,
                                 const ClockReading& now);

struct RingContents {
  uint64_t exits = 0, lost = 0;
};
// What such a file would hold, as who reads the rings themselves finds it.
RingContents count_rings(const Session& session, std::span<const SnapshotRing> rings,
                         LostVcpus lost, const ClockReading& now);

}  // namespace kvmtape
