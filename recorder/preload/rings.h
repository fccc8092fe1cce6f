// The rings of this process's vCPUs, within the recording's cap. Making one takes a dozen system
// calls, for each of which a filter may kill. So when the monitor is about to install one that
// would, spare rings are made first: files without a session, which nobody reads until a vCPU takes
// one. The caller holds the set-up lock.
#pragma once

#include <stdint.h>

#include "recorder/ring/record_control.h"
#include "recorder/ring/ring_memory.h"

namespace kvmtape::preload {

// Of monitors that make their vCPUs under a filter. Further vCPUs are only counted.
inline constexpr uint32_t kSpareRingsMax = 16;

// Null header: there is no memory, or no spare one. The descriptor is closed.
RingMemory make_ring(uint32_t vcpu_id, RecordControl& control) noexcept;
RingMemory take_spare_ring(uint32_t vcpu_id, RecordControl& control) noexcept;

// At most kSpareRingsMax, fewer where memory ends.
void make_spare_rings(uint32_t count, RecordControl& control) noexcept;
// A forked child: they are its parent's.
void forget_spare_rings() noexcept;

}  // namespace kvmtape::preload
