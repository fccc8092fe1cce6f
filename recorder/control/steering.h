// What the requests do to a recording, and what they are answered. One thread at a time, the one
// that pumps the keeper. Errors become answers.
#pragma once

#include <functional>
#include <span>
#include <string>

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
  struct Sample {
    uint64_t taken_ns = 0;
    DrainTotals totals;
  };
  std::string set_paused(bool paused);
  std::string snapshot(const std::string& reason);
  std::string status(std::span<RingHeader* const> rings);
  DrainTotals totals() const;
  Sample sample() const;

  Keeper& keeper_;
  Mark mark_;
  // Rates are since `older_`: one to two seconds ago, whoever asks how often, or the start, or when
  // the recording was stopped or went on.
  Sample older_, newer_;
};

}  // namespace kvmtape
