// What a guest's addresses stand for, so that they can be compared where they differ from run to
// run: physical ones by memory slot, those of code and data by symbol, wherever KASLR put the
// kernel and its modules. Borrows both; any thread that may read them.
#pragma once

#include <cstdint>
#include <optional>

#include "analysis/hash.h"
#include "analysis/memory_slots.h"
#include "analysis/symbols/symbols.h"

namespace kvmtape {

struct GuestAddresses {
  const MemorySlots& slots;
  const Symbols* symbols = nullptr;  // nullptr: not known
};

// Of a virtual address: equal for the same place of both guests' kernels; nullopt: no symbol tells.
inline std::optional<uint64_t> hash_place(const Symbols* symbols, uint64_t address) {
  const auto place = symbols == nullptr ? std::nullopt : symbols->place_of(address);
  if (!place) return std::nullopt;
  return mix(mix(mix(hash_text(place->name), hash_text(place->module)), place->which),
             place->offset);
}

}  // namespace kvmtape
