#include "analysis/diff/distributions.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvmtape {
namespace {

// Beyond so many values a distribution is told by as many quantiles.
constexpr uint64_t kPointsMax = 512;
// The normal approximation of the rank test holds from about so many values on.
constexpr uint64_t kValuesMin = 8;
constexpr double kChanceMax = 0.001;
// What is called small, no longer negligible: J. Romano et al., "Appropriate statistics for ordinal
// level data" (2006).
constexpr double kEffectMin = 0.147;

std::vector<uint64_t> points_of(const Histogram& times) {
  const uint64_t count = std::min(times.count(), kPointsMax);
  std::vector<uint64_t> points;
  for (uint64_t i = 0; i < count; ++i)
    points.push_back(times.quantile((static_cast<double>(i) + 0.5) / static_cast<double>(count)));
  return points;
}

// The share of pairs in which B is more, less the share in which A is. Both rise.
double cliffs_delta(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  double balance = 0;
  for (const uint64_t value : b) {
    const auto [low, high] = std::equal_range(a.begin(), a.end(), value);
    balance += static_cast<double>(low - a.begin()) - static_cast<double>(a.end() - high);
  }
  return balance / (static_cast<double>(a.size()) * static_cast<double>(b.size()));
}

bool moved_beyond(const TimeNoise& noise, uint64_t a, uint64_t b) {
  const uint64_t least = std::min(a, b), by = std::max(a, b) - least;
  return by >= noise.ns &&
         100 * static_cast<double>(by) >= noise.percent * static_cast<double>(least);
}

}  // namespace

TimeComparison compare_times(const Histogram& a, const Histogram& b, const TimeNoise& noise) {
  TimeComparison comparison;
  if (a.count() == 0 || b.count() == 0) return comparison;
  comparison.known = true;
  comparison.effect = cliffs_delta(points_of(a), points_of(b));
  const auto count_a = static_cast<double>(a.count()), count_b = static_cast<double>(b.count());
  // Of U: na nb (na + nb + 1) / 12, without ties, which would only make chance less likely.
  const double deviation = std::sqrt((count_a + count_b + 1) / (3 * count_a * count_b));
  comparison.chance = std::erfc(std::abs(comparison.effect) / deviation / std::sqrt(2.0));
  comparison.differs = std::min(a.count(), b.count()) >= kValuesMin &&
                       comparison.chance < kChanceMax &&
                       std::abs(comparison.effect) >= kEffectMin &&
                       moved_beyond(noise, a.quantile(0.5), b.quantile(0.5));
  return comparison;
}

ExitCounts count_by_exit(TraceReader& reader, const Selection& selection) {
  StatOptions options;
  options.selection = selection;
  options.keys = StatKeys::kNone;
  return {count_exits(reader, options).rows, reader.session().clock_name != kNoClock};
}

std::vector<Distribution> compare_distributions(ExitCounts a, ExitCounts b,
                                                const TimeNoise& noise) {
  std::vector<Distribution> found;
  for (StatRow& row : a.rows) {
    std::string exit = row.exit;
    found.push_back({std::move(exit), std::move(row), {}, {}, {}});
  }
  for (StatRow& row : b.rows) {
    const auto same = std::ranges::find(found, row.exit, &Distribution::exit);
    if (same != found.end()) {
      same->b = std::move(row);
    } else {
      std::string exit = row.exit;
      found.push_back({std::move(exit), {}, std::move(row), {}, {}});
    }
  }
  if (!a.has_times || !b.has_times) return found;
  for (Distribution& each : found) {
    each.guest = compare_times(each.a.guest_ns, each.b.guest_ns, noise);
    each.monitor = compare_times(each.a.monitor_ns, each.b.monitor_ns, noise);
  }
  return found;
}

}  // namespace kvmtape
