// The distinct change masks of a chunk in order of their first use: an exit's mask is stored as an
// index. Internal to the chunk encoder.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "schema/trace_format.h"

namespace kvmtape {

// An open-addressed index into a chunk's column of masks, which it fills. full() leaves room for
// the masks of one more exit and its answer; the owner stops adding then.
class MaskTable {
 public:
  MaskTable() : slots_(kSlots, 0) {}

  bool full(const std::vector<uint64_t>& masks) const {
    return masks.size() / 2 + 2 >= kChunkMasksMax;
  }
  uint32_t index_of(uint64_t mask, uint64_t record_flags, std::vector<uint64_t>& masks) {
    uint64_t slot = ((mask ^ record_flags << 45) * 0x9e3779b97f4a7c15u) >> 51;  // 13 bits
    static_assert(kSlots == size_t{1} << 13);
    for (;; slot = (slot + 1) % kSlots) {
      const uint16_t index = slots_[slot];
      if (index == 0) break;
      if (masks[2 * (index - 1u)] == mask && masks[2 * (index - 1u) + 1] == record_flags)
        return index - 1u;
    }
    masks.push_back(mask);
    masks.push_back(record_flags);
    const auto index = static_cast<uint32_t>(masks.size() / 2 - 1);
    slots_[slot] = static_cast<uint16_t>(index + 1);
    return index;
  }
  void clear() { std::fill(slots_.begin(), slots_.end(), uint16_t{0}); }

 private:
  static constexpr size_t kSlots = 2 * kChunkMasksMax;
  std::vector<uint16_t> slots_;  // index + 1; 0: free
};

}  // namespace kvmtape
