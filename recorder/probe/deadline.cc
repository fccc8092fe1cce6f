#include "recorder/probe/deadline.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace kvmtape {
namespace {

constexpr std::chrono::milliseconds kRepeat{5};

timespec to_timespec(std::chrono::milliseconds time) {
  return {.tv_sec = static_cast<time_t>(time.count() / 1000),
          .tv_nsec = static_cast<long>(time.count() % 1000) * 1'000'000};
}

}  // namespace

KickHandler::KickHandler() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGRTMIN, &action, &before_);
  sigset_t kick;
  sigemptyset(&kick);
  sigaddset(&kick, SIGRTMIN);
  pthread_sigmask(SIG_UNBLOCK, &kick, &mask_before_);
}

KickHandler::~KickHandler() {
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  sigaction(SIGRTMIN, &before_, nullptr);
}

Deadline::Deadline(std::chrono::milliseconds after) {
  struct sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
#ifdef sigev_notify_thread_id
  event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
#else  // glibc before 2.39 names the kernel's member only like this
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
#endif
  if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return;
  armed_ = true;
  const itimerspec when = {.it_interval = to_timespec(kRepeat), .it_value = to_timespec(after)};
  timer_settime(timer_, 0, &when, nullptr);
}

Deadline::~Deadline() {
  if (armed_) timer_delete(timer_);
}

}  // namespace kvmtape
