// The sync part of a moment: kSyncMasks masks of changed words, then these words, as it stands in
// records and in the chunk's column. Internal to the chunk codec; pure functions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/record_words.h"
#include "schema/snapshot.h"

namespace kvmtape {

inline constexpr uint64_t kLastSyncMask = (uint64_t{1} << (kSyncWords - 64 * (kSyncMasks - 1))) - 1;

// How many words the part takes that begins at words[0]; 0: it is cut off or impossible.
inline size_t sync_part_words(std::span<const uint64_t> words) {
  if (words.size() < kSyncMasks || (number(words[kSyncMasks - 1]) & ~kLastSyncMask) != 0) return 0;
  size_t count = kSyncMasks;
  for (size_t i = 0; i < kSyncMasks; ++i)
    count += static_cast<size_t>(std::popcount(number(words[i])));
  return count <= words.size() ? count : 0;
}

// Applies a whole part to the sync area of an image, which begins at kvm_valid_regs.
inline void apply_sync(std::span<const uint64_t> part, uint64_t* area) {
  const uint64_t* word = part.data() + kSyncMasks;
  for (size_t i = 0; i < kSyncMasks; ++i)
    for (uint64_t mask = number(part[i]); mask != 0; mask &= mask - 1)
      area[i * 64 + static_cast<size_t>(std::countr_zero(mask))] = *word++;
}

// A part that says every word of `area`.
inline void append_whole_sync(const uint64_t* area, std::vector<uint64_t>& to) {
  to.insert(to.end(), kSyncMasks - 1, ~uint64_t{0});
  to.push_back(number(kLastSyncMask));
  to.insert(to.end(), area, area + kSyncWords);
}

}  // namespace kvmtape
