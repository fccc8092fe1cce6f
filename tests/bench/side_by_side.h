// One run in which all contenders record the same exits in turn: burst by burst, so that whatever
// else the machine does hits all of them alike. Figures are nanoseconds for one exit with both of
// its moments, what laying the moments down costs already subtracted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/workload.h"

namespace kvmtape::bench {

struct Quantiles {
  double p50 = 0;
  double p99 = 0;
  double p999 = 0;
};

struct Standing {
  std::string name;
  std::string reason_skipped;    // empty: it took part
  double flat_out_ns = 0;        // median over the bursts
  Quantiles paced;               // one exit every 2 us, each timed by itself
  Quantiles cold;                // as paced, after a walk over 32 MiB of other memory
  double ratio = 0;              // kvmtape's flat-out time to this one's, median over the bursts
  std::optional<uint64_t> lost;  // moments, of `moments`; nothing: it cannot tell
  uint64_t moments = 0;
};

// `payload_bytes` is kCoreBytes or kSyncBytes. `reason_no_lttng` names why there is no LTTng
// session.
std::vector<Standing> compare_side_by_side(const Workload& workload, size_t payload_bytes,
                                           const std::string& directory,
                                           const std::string& reason_no_lttng);

const Standing* find_standing(const std::vector<Standing>& standings, const std::string& name);

}  // namespace kvmtape::bench
