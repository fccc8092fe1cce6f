// SIGINT and SIGTERM, blocked while this lives so that they are waited for: verbs that go on until
// the user ends them. On the main thread, before others are started.
#pragma once

#include <csignal>
#include <cstdint>

namespace kvmtape {

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
