// What a guest's addresses stand for, so that they can be compared where they differ from run to
// run: physical ones by memory slot, those of code and data by symbol, wherever KASLR put the
// kernel and its modules. Borrows both; any thread that may read them.
#pragma once

#include "analysis/memory_slots.h"
#include "analysis/symbols/symbols.h"

namespace kvmtape {

struct GuestAddresses {
  const MemorySlots& slots;
  const Symbols* symbols = nullptr;  // nullptr: not known
};

}  // namespace kvmtape
