#include "recorder/attach/stop_signals.h"

#include <cstddef>

namespace kvmtape {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
volatile sig_atomic_t g_came = 0;

void note(int) { g_came = 1; }

}  // namespace

StopSignals::StopSignals() {
  g_came = 0;
  struct sigaction action {};
  action.sa_handler = note;  // without SA_RESTART
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

bool StopSignals::came() const { return g_came != 0; }

}  // namespace kvmtape
