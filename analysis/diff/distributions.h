// How often each exit came in either recording and how long guest and monitor took, and whether
// that is a difference or noise: a rank test (Mann-Whitney) says how likely chance is, Cliff's
// delta how large the difference is. Exits of one guest depend on one another, and a machine drifts
// from one run to the next, which moves all of them: the median must have moved further than that
// as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/histogram.h"
#include "analysis/stat.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// How far a median moves between two runs of one guest, one after the other on one machine. Of 34
// such pairs of a monitor's port writes, on two cores that others used meanwhile, the time in the
// guest (11 us) moved by 38 % at most; the monitor's, of 100 to 270 ns, by 141 ns,
// more than its double.
struct TimeNoise {
  double percent = 50;  // of the smaller median
  uint64_t ns = 200;
};

struct TimeComparison {
  bool known = false;  // there are times on both sides
  double effect = 0;   // Cliff's delta, -1 to 1: above 0, B takes longer
  double chance = 1;   // that such an effect comes of nothing (two-sided)
  bool differs = false;
};
TimeComparison compare_times(const Histogram& a, const Histogram& b, const TimeNoise& noise = {});

struct Distribution {
  std::string exit;
  StatRow a, b;
  TimeComparison guest, monitor;
};
// What is compared of one recording. On the reader's thread.
struct ExitCounts {
  std::vector<StatRow> rows;  // by exit, the most frequent first
  bool has_times = false;     // false: of a recording without a clock
};
ExitCounts count_by_exit(TraceReader& reader, const Selection& selection);

// By exit, the most frequent of A first; times if both have some. Any thread.
std::vector<Distribution> compare_distributions(ExitCounts a, ExitCounts b,
                                                const TimeNoise& noise = {});

}  // namespace kvmtape
