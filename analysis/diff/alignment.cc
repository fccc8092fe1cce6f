#include "analysis/diff/alignment.h"

#include <algorithm>

#include "analysis/diff/anchors.h"
#include "analysis/diff/middle_snake.h"

namespace kvmtape {
namespace {

// Below this many exits on both sides together, no anchors are sought.
constexpr uint64_t kSmall = 256;
// How many exits in a row an anchor is, round by round. Single exits that occur once are the
// surest; loops have none, but longer runs that are unique; what lies between those has single ones
// again.
constexpr size_t kAnchorLengths[] = {1, 16, 4, 1, 16, 4, 1};

struct Range {
  uint32_t a, a_end, b, b_end;
  uint64_t exits() const { return uint64_t{a_end} - a + b_end - b; }
};

template <typename Part>
class Aligner {
 public:
  Aligner(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b,
          const AlignmentLimits& limits, Part part)
      : a_(a), b_(b), limits_(limits), part_(part) {}

  void with_anchors(Range range, size_t round) {
    const Range inner = without_start(range);
    const uint32_t end = common_end(inner);
    const Range middle{inner.a, inner.a_end - end, inner.b, inner.b_end - end};
    if (middle.exits() <= kSmall || round == std::size(kAnchorLengths))
      by_distance(middle);
    else
      between_anchors(middle, round);
    emit(middle.a_end, middle.b_end, end);
  }

  void by_distance(Range range) {
    range = without_start(range);
    const uint32_t end = common_end(range);
    const Range middle{range.a, range.a_end - end, range.b, range.b_end - end};
    if (middle.a != middle.a_end && middle.b != middle.b_end) {
      const auto snake = snake_.find(middle.a_end - middle.a, middle.b_end - middle.b,
                                     limits_.distance_max / 2, [&](int64_t x, int64_t y) {
                                       return same(middle.a + static_cast<uint32_t>(x),
                                                   middle.b + static_cast<uint32_t>(y));
                                     });
      if (snake) {
        const auto a_at = [&](int64_t x) { return middle.a + static_cast<uint32_t>(x); };
        const auto b_at = [&](int64_t y) { return middle.b + static_cast<uint32_t>(y); };
        by_distance({middle.a, a_at(snake->x0), middle.b, b_at(snake->y0)});
        emit(a_at(snake->x0), b_at(snake->y0), static_cast<uint32_t>(snake->x1 - snake->x0));
        by_distance({a_at(snake->x1), middle.a_end, b_at(snake->y1), middle.b_end});
      } else {
        result_.unaligned += middle.exits();
      }
    }
    emit(middle.a_end, middle.b_end, end);
  }

  Alignment take() { return std::move(result_); }

 private:
  bool same(uint32_t a, uint32_t b) const { return part_(a_[a]) == part_(b_[b]); }

  Range without_start(Range range) {
    uint32_t start = 0;
    while (range.a + start < range.a_end && range.b + start < range.b_end &&
           same(range.a + start, range.b + start))
      ++start;
    emit(range.a, range.b, start);
    return {range.a + start, range.a_end, range.b + start, range.b_end};
  }

  uint32_t common_end(const Range& range) const {
    uint32_t end = 0;
    while (range.a + end < range.a_end && range.b + end < range.b_end &&
           same(range.a_end - 1 - end, range.b_end - 1 - end))
      ++end;
    return end;
  }

  void between_anchors(const Range& range, size_t round) {
    const auto anchors =
        find_anchors(a_.subspan(range.a, range.a_end - range.a),
                     b_.subspan(range.b, range.b_end - range.b), kAnchorLengths[round]);
    Range next = range;
    for (const auto& [a, b] : anchors) {
      next.a_end = range.a + a;
      next.b_end = range.b + b;
      // What an anchor began has run on over this one.
      if (next.a_end < next.a || next.b_end < next.b) continue;
      if (next.exits() != 0) with_anchors(next, round + 1);
      next.a = next.a_end;
      next.b = next.b_end;
      Range rest{next.a, range.a_end, next.b, range.b_end};
      rest = without_start(rest);
      next.a = rest.a;
      next.b = rest.b;
    }
    next.a_end = range.a_end;
    next.b_end = range.b_end;
    with_anchors(next, round + 1);
  }

  void emit(uint32_t a, uint32_t b, uint32_t count) {
    if (count == 0) return;
    if (!result_.runs.empty()) {
      AlignedRun& last = result_.runs.back();
      if (last.a + last.count == a && last.b + last.count == b) {
        last.count += count;
        return;
      }
    }
    result_.runs.push_back({a, b, count});
  }

  std::span<const ExitIdentity> a_, b_;
  const AlignmentLimits& limits_;
  Part part_;
  MiddleSnake snake_;
  Alignment result_;
};

// Types, so that comparing costs no call.
constexpr auto kAlignedPart = [](ExitIdentity identity) { return aligned_part(identity); };
constexpr auto kPlacePart = [](ExitIdentity identity) { return place_part(identity); };

Range whole(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b) {
  return {0, static_cast<uint32_t>(a.size()), 0, static_cast<uint32_t>(b.size())};
}

}  // namespace

Alignment align(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b,
                const AlignmentLimits& limits) {
  Aligner aligner(a, b, limits, kAlignedPart);
  aligner.with_anchors(whole(a, b), 0);
  return aligner.take();
}

std::vector<AlignedRun> pair_changed(std::span<const ExitIdentity> a,
                                     std::span<const ExitIdentity> b,
                                     const AlignmentLimits& limits) {
  Aligner aligner(a, b, limits, kPlacePart);
  aligner.by_distance(whole(a, b));
  std::vector<AlignedRun> pairs;
  uint32_t a_at = 0, b_at = 0;
  const auto same_reasons_until = [&](uint32_t a_end, uint32_t b_end) {
    if (a_end - a_at != b_end - b_at) return;
    for (; a_at < a_end; ++a_at, ++b_at)
      if (reason_part(a[a_at]) == reason_part(b[b_at])) pairs.push_back({a_at, b_at, 1});
  };
  for (const AlignedRun& run : aligner.take().runs) {
    same_reasons_until(run.a, run.b);
    pairs.push_back(run);
    a_at = run.a + run.count;
    b_at = run.b + run.count;
  }
  same_reasons_until(static_cast<uint32_t>(a.size()), static_cast<uint32_t>(b.size()));
  return pairs;
}

}  // namespace kvmtape
