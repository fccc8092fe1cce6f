// An embedding session's control socket, on the drain's thread, and what its owner is told.
#include <utility>

#include "recorder/session.h"

using namespace kvmtape;  // NOLINT: the session is a C handle

// Without a place for the socket the recording goes on unsteered; the trace says so.
void kvmtape_session::open_control() {
  steering_ =
      std::make_unique<Steering>(*drain_, [this](std::string_view text) { return mark(text); });
  auto server = ControlServer::open(
      path_,
      [this](const Request& request) {
        std::vector<RingHeader*> rings;
        for (const auto& ring : rings_) rings.push_back(ring->header());
        return steering_->answer(request, rings);
      },
      [this](const std::string& text) { mark(text); });
  if (server.ok())
    control_ = std::move(*server);
  else
    mark("ctl: " + server.error().to_string());
}

std::optional<std::string> kvmtape_session::news() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || closed_ || drain_failed_) return std::nullopt;
  return news_.look(*drain_);
}
