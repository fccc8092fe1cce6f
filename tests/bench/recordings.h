// Whole recordings through the public API: how fast several vCPUs can go with nothing lost, and
// traces of a wanted length for the reader.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/workload.h"

namespace kvmtape::bench {

struct Recording {
  double seconds = 0;  // from the first exit to the sealed trace
  uint64_t exits = 0;
  uint64_t lost = 0;
  uint64_t bytes = 0;
  std::string error;  // empty: it succeeded
  double exits_per_second() const {
    return seconds == 0 ? 0 : static_cast<double>(exits) / seconds;
  }
};

// `threads` vCPUs produce `rate` exits a second in all (each its share once a millisecond), until
// there are `exits`. Rings of 16 MiB; trace and rings lie under `directory`.
Recording record_at_rate(const Workload& workload, const std::string& directory,
                         const std::string& trace_name, unsigned threads, double rate,
                         uint64_t exits);

}  // namespace kvmtape::bench
