// Small traces that a recorder could have written, and their chunks, as first inputs of the fuzzers
// whose input is a trace or a part of one. Made anew at each call; one thread.
#pragma once

#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {

// Sealed and torn; one and several vCPUs; gaps, marks, registers, repeats.
std::vector<Bytes> seed_traces();

// The chunks of those, each for itself, of the type named by `type` (0: all).
std::vector<Bytes> seed_chunks(uint16_t type);

}  // namespace kvmtape::fuzz
