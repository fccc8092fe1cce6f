// Guest memory at the crash exits of a vCPU whose ring nobody empties: read when the exit is first
// seen (crash_memory.h), kept here, and put behind the exit's registers in every snapshot that
// still has it. At most a few hundred bytes for each of the first crash exits. One thread, the
// flight recorder's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "recorder/drain/crash_memory.h"
#include "recorder/drain/guest_memory.h"

namespace kvmtape {

class CrashSlices {
 public:
  // `regions` outlives it.
  CrashSlices(const RingHeader& ring, Architecture architecture, const GuestRegions& regions);

  // A record of the ring, as it comes.
  void look(std::span<const uint64_t> record);
  // Whole records of the ring, with what was read behind those it belongs to.
  std::vector<uint64_t> put_into(std::span<const uint64_t> records) const;
  bool empty() const { return taken_.empty(); }

 private:
  struct Taken {
    uint64_t time;  // of the exit
    std::vector<uint64_t> slices;
  };
  CrashMemory memory_;
  const GuestRegions& regions_;
  std::vector<Taken> taken_;
};

}  // namespace kvmtape
