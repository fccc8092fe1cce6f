// SIGINT, SIGTERM and SIGHUP end an attachment in order instead of killing it: while the object
// lives they are only noted, and interrupt what waits. One a process.
#pragma once

#include <signal.h>

#include <array>

namespace kvmtape {

class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  ~StopSignals();
  bool came() const;

 private:
  std::array<struct sigaction, 3> before_{};
};

}  // namespace kvmtape
