// Which exits of one vCPU in recording A are those in recording B. Common ends are taken off, then
// runs of exits that occur once on both sides anchor what lies between them (patience), and between
// anchors a longest common subsequence is found in linear space (Myers). Where that would take more
// than `distance_max` insertions and deletions and neither side is tiny, a range is left unaligned,
// and as many exits of either side as the shorter one has are counted: the rest is simply extra.
//
// Memory: 8 bytes an exit of each side while anchors are sought and 4 of A's, then 12 for each run
// that is found. Pure functions, any thread; at most 2^32 - 1 exits a side.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/diff/exit_identity.h"

namespace kvmtape {

// `count` exits from `a` on are those from `b` on. Their data may still differ: see aligned_part().
struct AlignedRun {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t count = 0;
  bool operator==(const AlignedRun&) const = default;
};

struct AlignmentLimits {
  uint32_t distance_max = 2048;
};

struct Alignment {
  std::vector<AlignedRun> runs;  // in order
  uint64_t unaligned = 0;  // exits, of both sides, that might be the same: in ranges beyond it
};

Alignment align(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b,
                const AlignmentLimits& limits = {});

// Between two runs: which exits that are not the same may be told of as one that has changed. Pairs
// of positions in order; those of the same place first, then, where as many are left on both sides,
// those of the same reason.
std::vector<AlignedRun> pair_changed(std::span<const ExitIdentity> a,
                                     std::span<const ExitIdentity> b,
                                     const AlignmentLimits& limits = {});

}  // namespace kvmtape
