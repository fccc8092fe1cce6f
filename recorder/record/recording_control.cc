// Steering a recording by preload: the socket beside its trace, and marks in a ring that the
// monitor's processes write too.
#include <pthread.h>
#include <time.h>

#include <utility>
#include <vector>

#include "recorder/record/recording.h"
#include "recorder/ring/clock.h"
#include "recorder/ring/control_call.h"
#include "recorder/ring/ring_writer.h"

namespace kvmtape {
namespace {

constexpr int kLockTries = 100;
constexpr timespec kLockPause = {0, 100'000};

// A process that was stopped while it held the lock is not waited for.
bool lock(pthread_mutex_t* mutex) {
  for (int tries = 0; tries < kLockTries; ++tries) {
    const int error = pthread_mutex_trylock(mutex);
    if (error == EOWNERDEAD) pthread_mutex_consistent(mutex);
    if (error == 0 || error == EOWNERDEAD) return true;
    ::nanosleep(&kLockPause, nullptr);
  }
  return false;
}

}  // namespace

bool Recording::mark(std::string_view text) {
  text = text.substr(0, kControlPayloadMax);
  if (!lock(&control_->session_ring_mutex)) return false;
  RingWriter writer;
  writer.resume(rings_.at(ring_file_name(kSessionStream)).file.header());
  const bool written = write_mark(writer, read_clock(), text);
  pthread_mutex_unlock(&control_->session_ring_mutex);
  return written;
}

Result<void> Recording::open_control(ControlServer::Log log) {
  steering_ =
      std::make_unique<Steering>(*drain_, [this](std::string_view text) { return mark(text); });
  auto answer = [this](const Request& request) {
    // What is there before a stop or start is taken before it, and a ring that comes behind a start
    // must not believe that it is not wanted, should we be killed before we take it. relaxed, both:
    // one that comes this very moment is told when it is taken
    if (request.kind == Request::Kind::kStart)
      control_->stopped.store(0, std::memory_order_relaxed);  // relaxed: as above
    open_new_rings();
    std::vector<RingHeader*> rings;
    for (const auto& [name, ring] : rings_) rings.push_back(ring.file.header());
    std::string reply = steering_->answer(request, rings);
    control_->stopped.store(drain_->paused() ? 1 : 0, std::memory_order_relaxed);  // as above
    return reply;
  };
  KVMTAPE_TRY_ASSIGN(server_, ControlServer::open(path_, std::move(answer), std::move(log)));
  return {};
}

}  // namespace kvmtape
