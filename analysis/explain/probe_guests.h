// A recording that `kvmtape probe` made is of many guests, each with virtual machines and vCPUs of
// its own, and many of them die on purpose: what each died of, rather than one cause for all. Marks
// in the recording name them. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/explain/explain.h"

namespace kvmtape {

struct ProbeGuest {
  std::string name;  // "shutdown"
  std::vector<uint32_t> vcpus;
  std::vector<Finding> causes;  // most likely first
};

// Those that ran, in their order; none where somebody else made the recording, or where it is so
// large that it is not what the probe makes. Walks it once for each guest.
std::vector<ProbeGuest> explain_probe_guests(TraceReader& reader);

}  // namespace kvmtape
