// Exits of one vCPU that a recording lost, by where they would stand among those that are compared,
// and which of the other recording's are accounted to them. An alignment knows nothing of losses:
// where it could as well have been another, it is moved so that what one side lacks lies where that
// side lost something. Plain data and functions on it, any thread; `why` is static text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/diff/alignment.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

struct LostExits {
  uint32_t at = 0;           // index of the compared exit in front of which they stood
  uint64_t first_seq = 0;    // of the first one lost, where that is known
  uint64_t lost = 0;         // kUnknown: the recording's end is not here
  std::string_view why;      // "damaged", "torn end"
  uint64_t accounted = 0;    // exits that only the other recording has
  uint64_t other_first = 0;  // sequences in the other recording
  uint64_t other_last = 0;

  static constexpr uint64_t kUnknown = ~uint64_t{0};
  bool is_open_end() const { return lost == kUnknown; }
};
using LostList = std::vector<LostExits>;  // in order

// Why exits may have stood behind the last one that is here; none: it was the last.
std::optional<std::string_view> why_open_end(const TraceHealth& health);

// Moves what stands on one side only to where the other lost at least as many, if the exits it
// passes over are the same.
void settle_at_losses(Alignment& alignment, std::span<const ExitIdentity> a,
                      std::span<const ExitIdentity> b, const LostList& lost_a,
                      const LostList& lost_b);

// Losses in front of exits `first` to `last` and behind the latter, as far as they have no exits of
// the other recording accounted to them.
class LossesBetween {
 public:
  LossesBetween(LostList& losses, uint32_t first, uint32_t last);
  bool empty() const { return losses_.empty(); }
  bool have_room_for(uint64_t count) const;
  void account(uint64_t other_seq);  // one of those there is room for

 private:
  std::span<LostExits> losses_;
};

}  // namespace kvmtape
