// What verbs on a running recording share: they read it anew in rounds, and go on until the user
// ends them. Main thread.
#pragma once

#include <csignal>
#include <cstdint>

namespace kvmtape {

// An exit becomes readable a little after it happened. So much is read again in the next round;
// what was taken is known by its sequence.
inline constexpr int64_t kMarginNs = 2'000'000'000;

// SIGINT and SIGTERM, blocked while this lives so that they are waited for.
class EndSignals {
 public:
  EndSignals();
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Sleeps; whether one came in that time.
  bool wait(int64_t ns) const;

 private:
  sigset_t set_{};
  sigset_t before_{};
};

}  // namespace kvmtape
