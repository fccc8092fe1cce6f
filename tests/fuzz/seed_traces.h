// Small traces that a recorder could have written, as first inputs.
#pragma once

#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {

// Sealed and torn; one and several vCPUs; gaps, marks, registers, repeats.
std::vector<Bytes> seed_traces();

// The chunks of those, each for itself, of the type named by `type` (0: all).
std::vector<Bytes> seed_chunks(uint16_t type);

}  // namespace kvmtape::fuzz
