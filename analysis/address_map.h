// What lies at a guest physical address: the memory slots that the recording saw the monitor set,
// and the places that every machine of an architecture has by convention. Names an MMIO register as
// base and offset. Built by one walk over the recorded calls, then only read; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "analysis/memory_slots.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class AddressMap {
 public:
  AddressMap() = default;  // names nothing
  // Ends the walk that the reader is on.
  explicit AddressMap(TraceReader& reader);

  // "local APIC+0xb0", "read-only slot 3+0x555"; empty: nothing is known to lie there.
  std::string name_of(uint64_t address) const;
  // "local APIC", "read-only slot 3"; where nothing is known to lie, the page: "0xd0000xxx".
  std::string place_of(uint64_t address) const;

 private:
  struct Place {
    std::string name;  // empty: not known
    uint64_t base = 0;
  };
  Place find(uint64_t address) const;

  Architecture architecture_ = Architecture::kUnknown;
  MemorySlots slots_;  // as they were set last
};

}  // namespace kvmtape
