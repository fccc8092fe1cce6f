// Opens bytes as a trace and asks of the reader everything that the commands ask. Shared by the
// fuzzers whose input ends up as a trace. Ends the process where the reader contradicts itself.
#pragma once

#include <cstdint>
#include <string>

#include "replayer/trace_reader.h"

namespace kvmtape::fuzz {

struct Walked {
  bool opened = false;
  bool complete = false;  // health() after everything was read and verified
  uint64_t exits = 0;     // folded ones included
};

// Walks and prints, summarises, walks with a selection, counts, verifies.
Walked walk_everything(const std::string& path, const TraceReader::Options& options);

}  // namespace kvmtape::fuzz
