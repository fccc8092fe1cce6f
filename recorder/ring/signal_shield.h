// Keeps the monitor's signals away from what we do on its threads at set-up time, for the life of
// the object: a signal makes an allocation on tmpfs fail with EINTR (shmem_fallocate() of
// mm/shmem.c), its handler is not ours to run, and writing beyond RLIMIT_FSIZE, which jailers set,
// kills by SIGXFSZ. With that blocked the call fails with EFBIG and the signal is taken back.
#pragma once

#include <signal.h>
#include <time.h>

namespace kvmtape {

class SignalShield {
 public:
  SignalShield() {
    sigset_t all, pending;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
    sigpending(&pending);
    size_signal_was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
  }
  SignalShield(const SignalShield&) = delete;
  ~SignalShield() {
    if (!size_signal_was_pending_) {
      sigset_t size_signal;
      sigemptyset(&size_signal);
      sigaddset(&size_signal, SIGXFSZ);
      const timespec now{};
      sigtimedwait(&size_signal, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
  bool size_signal_was_pending_;
};

}  // namespace kvmtape
