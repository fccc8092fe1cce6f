// RateWindow: what a recording does a second, of the last second or two, whoever asks how often.
// Time is the caller's, nanoseconds of one clock that does not go back. One thread at a time.
#pragma once

#include <cstdint>

#include "recorder/drain/keeper.h"

namespace kvmtape {

struct Rates {
  double exits_per_second = 0;
  double bytes_per_second = 0;
  double seconds = 0;  // that they are of
};

class RateWindow {
 public:
  RateWindow(uint64_t now_ns, const DrainTotals& totals) { begin_anew(now_ns, totals); }
  // Of the start, or of when the recording was stopped or went on: nothing before it counts.
  void begin_anew(uint64_t now_ns, const DrainTotals& totals) {
    older_ = newer_ = {now_ns, totals.exits, totals.bytes};
  }
  // Whether a second has gone by since advance(): to be asked often.
  bool is_due(uint64_t now_ns) const { return now_ns - newer_.taken_ns >= kSecondNs; }
  void advance(uint64_t now_ns, const DrainTotals& totals) {
    older_ = newer_;
    newer_ = {now_ns, totals.exits, totals.bytes};
  }
  // What grew smaller, with a file that was removed, is a rate of 0.
  Rates rates(uint64_t now_ns, const DrainTotals& totals) const;

 private:
  static constexpr uint64_t kSecondNs = 1'000'000'000;
  struct Sample {
    uint64_t taken_ns = 0;
    uint64_t exits = 0;
    uint64_t bytes = 0;
  };
  Sample older_, newer_;
};

}  // namespace kvmtape
