// How often each exit came in either recording and how long guest and monitor took, and whether
// that is a difference or noise: a rank test (Mann-Whitney) says how likely chance is, Cliff's
// delta how large the difference is. Exits of one guest depend on one another, so that chance alone
// would call too much a difference: both must speak for it. One thread: that of the readers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/histogram.h"
#include "analysis/stat.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

struct TimeComparison {
  bool known = false;  // there are times on both sides
  double effect = 0;   // Cliff's delta, -1 to 1: above 0, B takes longer
  double chance = 1;   // that such an effect comes of nothing (two-sided)
  bool differs = false;
};
TimeComparison compare_times(const Histogram& a, const Histogram& b);

struct Distribution {
  std::string exit;
  StatRow a, b;
  TimeComparison guest, monitor;
};
// By exit, the most frequent of A first. Recordings without a clock have counts only.
std::vector<Distribution> compare_distributions(TraceReader& a, TraceReader& b,
                                                const std::vector<uint32_t>& vcpus);

}  // namespace kvmtape
