// Making a ring's memory with nothing but libc, so that the preload library can do it inside a
// foreign monitor: no allocation, no exception, no iostream. Set-up time only; any thread; system
// calls. ring_create.h is the comfortable way to the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schema/ring_layout.h"

namespace kvmtape {

struct RingSpec {
  Uuid session{};
  uint32_t vcpu_index = 0;
  uint32_t vcpu_id = 0;
  uint64_t ring_bytes = 1 << 20;  // rounded to whole blocks
  bool overwrite = false;
  bool coalesce = false;  // nobody consumes it: a flight recorder's
  bool stopped = false;   // what comes is not wanted until who consumes or keeps it says so
};

inline constexpr uint64_t kRingBytesMin = 64 * 1024;
inline constexpr uint64_t kRingBytesMax = uint64_t{1} << 30;  // of what may be asked for

// How a ring of about `ring_bytes` is cut: at least kBlockCountMin blocks of at least
// kBlockBytesMin.
struct RingGeometry {
  uint32_t block_bytes;
  uint32_t block_count;
  uint64_t file_bytes() const { return kRingHeaderBytes + uint64_t{block_bytes} * block_count; }
};
RingGeometry ring_geometry(uint64_t ring_bytes) noexcept;

// A mapped ring, or the step that failed and its errno. The caller owns mapping and descriptor.
struct RingMemory {
  enum class Step { kDone, kCreate, kAllocate, kMap };
  RingHeader* header = nullptr;
  size_t bytes = 0;
  int fd = -1;
  Step failed = Step::kDone;
  int error = 0;
};

// Of a ring that nobody else has seen yet: RingSpec::stopped.
inline void set_stopped(RingHeader& ring, bool stopped) noexcept {
  // relaxed, both: ordered by what makes the ring one that others take
  if (ring.coalesce != 0)
    ring.stopped.store(stopped ? 1 : 0, std::memory_order_relaxed);  // relaxed: as above
  else
    ring.stopped_to.store(stopped ? kStoppedNoEnd : 0, std::memory_order_relaxed);  // as above
}

// Allocates every byte before mapping it (a sparse file on a full file system would kill the
// monitor with SIGBUS) and faults it in. Refuses an existing name; a failure leaves no file.
RingMemory make_ring_memory(const char* path, const RingSpec& spec, const Uuid& boot_id) noexcept;

}  // namespace kvmtape
