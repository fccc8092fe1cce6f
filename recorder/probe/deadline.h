// How a vCPU that does not come back is brought back: a timer sends SIGRTMIN to the thread that
// sits in KVM_RUN, which then returns EINTR (KVM_EXIT_INTR). The timer repeats, so that a signal
// that arrives just before KVM_RUN is followed by one that arrives in it.
#pragma once

#include <csignal>
#include <ctime>

#include <chrono>

namespace kvmtape {

// Handles the kick signal (by doing nothing) while it lives; process-wide, one at a time.
class KickHandler {
 public:
  KickHandler();
  ~KickHandler();
  KickHandler(const KickHandler&) = delete;
  KickHandler& operator=(const KickHandler&) = delete;

 private:
  struct sigaction before_ = {};
  sigset_t mask_before_ = {};
};

// Kicks the thread that made it, once `after` has passed and then every few milliseconds. The
// thread that made it destroys it.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds after);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  timer_t timer_ = {};
  bool armed_ = false;
};

}  // namespace kvmtape
