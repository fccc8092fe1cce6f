// What somebody wants to hear of a recording while it runs: that its file cannot be written, and
// that it can be again. Asked after each pump(); one thread, or one at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "recorder/drain/keeper.h"

namespace kvmtape {

class WriteNews {
 public:
  // A line when it begins to fail and one when it no longer does.
  std::optional<std::string> look(const Keeper& keeper);
  // Exits that were lost while nothing could be written, so far; not what was left out as wanted.
  uint64_t lost_meanwhile(const DrainTotals& totals) const {
    return lost_before_ + (fails_ ? lost_of(totals) - lost_at_failure_ : 0);
  }

 private:
  static uint64_t lost_of(const DrainTotals& totals) {
    return totals.lost - std::min(totals.lost, totals.stopped);
  }

  bool fails_ = false;
  uint64_t lost_at_failure_ = 0, removed_at_failure_ = 0;  // by then, for whatever reason
  uint64_t lost_before_ = 0;                               // in failures that are over
};

// "cannot write the trace: No space left on device": without what followed from it.
std::string cause_of(const Error& error);

}  // namespace kvmtape
