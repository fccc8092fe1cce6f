// How often a test that kills processes does so: 30 times in every run, 300 in the long one,
// KVMTAPE_KILLS times where that is set, as `./dev soak` does.
#pragma once

#include <cstdlib>

namespace kvmtape::testing {

inline int kills_wanted() {
  if (const char* kills = std::getenv("KVMTAPE_KILLS")) return std::atoi(kills);
  return std::getenv("KVMTAPE_FULL") != nullptr ? 300 : 30;
}

}  // namespace kvmtape::testing
