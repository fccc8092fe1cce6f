// What the requests do to a recording, and what they are answered. One thread at a time, the one
// that pumps the keeper. Errors become answers.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "recorder/control/rate_window.h"
#include "recorder/control/request.h"
#include "recorder/drain/keeper.h"

namespace kvmtape {

class Steering {
 public:
  // What only the recording's owner can do. `keeper` outlives this.
  using Mark = std::function<bool(std::string_view text)>;
  Steering(Keeper& keeper, Mark mark);

  // One line of JSON. `rings` are the vCPUs'.
  std::string answer(const Request& request, std::span<RingHeader* const> rings);
  // Behind each pump(): rates need to know what was a second ago.
  void look();

 private:
  std::string set_paused(bool paused);
  std::string snapshot(const std::string& reason);
  std::string status(std::span<RingHeader* const> rings);
  DrainTotals totals() const;

  Keeper& keeper_;
  Mark mark_;
  RateWindow window_;
};

}  // namespace kvmtape
