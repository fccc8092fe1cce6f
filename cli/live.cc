#include "cli/live.h"

#include <cerrno>
#include <ctime>

namespace kvmtape {

EndSignals::EndSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
}

EndSignals::~EndSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

bool EndSignals::wait(int64_t ns) const {
  const timespec timeout{static_cast<time_t>(ns / 1'000'000'000),
                         static_cast<long>(ns % 1'000'000'000)};
  int got = 0;
  do got = sigtimedwait(&set_, nullptr, &timeout);
  while (got < 0 && errno == EINTR);
  return got > 0;
}

}  // namespace kvmtape
