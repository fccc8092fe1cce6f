// How often a test that kills processes does so, 30 times in every run, 300 in the long one,
// KVMTAPE_KILLS times where that is set, as `./dev soak` does; and what it kills, and when.
#pragma once

#include <cstdlib>

namespace kvmtape::testing {

// Whose bounds are struck at random, too: what is left behind differs.
enum class KilledRecording { kPlain, kFlight, kRotating };

struct KillPlan {
  KilledRecording recording;
  bool from_start;        // at any moment of the set-up, which may not even have begun
  unsigned delay_us_max;  // from there, or from the first exits on
};

inline KillPlan plan_of_kill(int number, int kills) {
  constexpr KilledRecording kRecordings[] = {KilledRecording::kPlain, KilledRecording::kFlight,
                                             KilledRecording::kPlain, KilledRecording::kRotating};
  const bool from_start = number % 5 == 0;
  const bool is_long = kills >= 300 && number % 10 == 1;
  return {kRecordings[number % 4], from_start,
          from_start ? 20'000u
          : is_long  ? 1'500'000u
                     : 60'000u};
}

inline int kills_wanted() {
  if (const char* kills = std::getenv("KVMTAPE_KILLS")) return std::atoi(kills);
  return std::getenv("KVMTAPE_FULL") != nullptr ? 300 : 30;
}

}  // namespace kvmtape::testing
