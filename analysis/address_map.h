// What lies at a guest physical address: the memory slots that the recording saw the monitor set,
// and the places that every machine of an architecture has by convention. Names an MMIO register as
// base and offset. Built by one walk over the recorded calls, then only read; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "replayer/trace_reader.h"

namespace kvmtape {

class AddressMap {
 public:
  AddressMap() = default;  // names nothing
  // Ends the walk that the reader is on.
  explicit AddressMap(TraceReader& reader);

  // "local APIC+0xb0", "read-only slot 3+0x555"; empty: nothing is known to lie there.
  std::string name_of(uint64_t address) const;

 private:
  struct Slot {
    uint64_t base = 0;
    uint64_t bytes = 0;
    bool read_only = false;
  };
  Architecture architecture_ = Architecture::kUnknown;
  std::map<uint32_t, Slot> slots_;  // by number, as they were set last
};

}  // namespace kvmtape
