#include "replayer/trace_clock.h"

#include <algorithm>
#include <limits>

namespace kvmtape {
namespace {

// Below this a slope is noise: reading the two clocks takes up to a microsecond.
constexpr int64_t kSlopeSpanMinNs = 100'000'000;

}  // namespace

TraceClock::TraceClock(ClockReading start, uint64_t ticks_per_second,
                       std::vector<ClockReading> pairs) {
  pairs.push_back(start);
  std::sort(pairs.begin(), pairs.end(),
            [](const ClockReading& a, const ClockReading& b) { return a.ticks < b.ticks; });
  knots_.clear();
  for (const ClockReading& pair : pairs) {
    if (pair.ticks == 0) continue;
    const auto ns = static_cast<int64_t>(pair.monotonic_ns - start.monotonic_ns);
    if (!knots_.empty() && (pair.ticks == knots_.back().ticks || ns <= knots_.back().ns)) continue;
    knots_.push_back({pair.ticks, ns, 0, ~uint64_t{0}});
  }
  if (knots_.empty()) knots_.push_back({start.ticks, 0, 0, ~uint64_t{0}});

  const Knot& first = knots_.front();
  const Knot& last = knots_.back();
  const int64_t span = detail::added(last.ns, -first.ns);
  if (ticks_per_second != 0) ns_per_tick_ = 1e9 / static_cast<double>(ticks_per_second);
  if (span >= kSlopeSpanMinNs || (span > 0 && ticks_per_second == 0))
    ns_per_tick_ = static_cast<double>(span) / static_cast<double>(last.ticks - first.ticks);
  for (size_t i = 0; i + 1 < knots_.size(); ++i)
    knots_[i].ns_per_tick = static_cast<double>(knots_[i + 1].ns - knots_[i].ns) /
                            static_cast<double>(knots_[i + 1].ticks - knots_[i].ticks);
  knots_.back().ns_per_tick = ns_per_tick_;
  for (size_t i = 0; i + 1 < knots_.size(); ++i) knots_[i].end = knots_[i + 1].ticks;
}

int64_t TraceClock::find_time_ns(uint64_t ticks) const {
  auto after = std::upper_bound(knots_.begin(), knots_.end(), ticks,
                                [](uint64_t t, const Knot& knot) { return t < knot.ticks; });
  if (after == knots_.begin())
    return detail::added(after->ns, -detail::scaled(after->ticks - ticks, ns_per_tick_));
  hint_ = static_cast<size_t>(after - knots_.begin()) - 1;
  return behind(knots_[hint_], ticks);
}

}  // namespace kvmtape
