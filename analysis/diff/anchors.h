// Exits that occur once in each of two sequences, in the same order in both: what an alignment may
// hold on to. Pure function, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "analysis/diff/exit_identity.h"

namespace kvmtape {

using Anchor = std::pair<uint32_t, uint32_t>;  // positions in a and in b

// Positions, rising on both sides, where `length` exits in a row begin that nowhere else
// stand in this order, on either side: the longest such sequence of positions.
std::vector<Anchor> find_anchors(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b,
                                 size_t length);

}  // namespace kvmtape
