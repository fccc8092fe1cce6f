// When a drain looks again: soon while rings may fill up, then each time after double the sleep. In
// a hurry it still sleeps: a consumer that spins slows a vCPU down more than capture does. One
// thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kvmtape {

class WakeUps {
 public:
  explicit WakeUps(uint32_t first_us) : sleep_us_(first_us) {}

  // The next sleep in microseconds, of `most_us` at most; `hurry` is what Drain::pump() returned.
  uint32_t next_us(bool hurry, uint32_t most_us) {
    const uint32_t sleep_us = hurry ? kHurryUs : sleep_us_ + std::min(sleep_us_, ~sleep_us_);
    sleep_us_ = std::min(sleep_us, most_us);
    return sleep_us_;
  }

 private:
  static constexpr uint32_t kHurryUs = 100;

  uint32_t sleep_us_;
};

}  // namespace kvmtape
