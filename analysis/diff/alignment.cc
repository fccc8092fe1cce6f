#include "analysis/diff/alignment.h"

#include <algorithm>
#include <future>

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

// A side that is no longer is looked for in the other however long that is: each of the other's
// exits costs so many comparisons, twice.
constexpr uint32_t kTiny = 64;

// From so many exits on, the two halves are aligned at once.
constexpr uint64_t kWorthTwoThreads = 1 << 16;

struct Range {
  uint32_t a, a_end, b, b_end;
  uint64_t exits() const { return uint64_t{a_end} - a + b_end - b; }
  uint32_t shorter() const { return std::min(a_end - a, b_end - b); }
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
    if (middle.shorter() != 0) {
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
      } else if (middle.shorter() <= kTiny) {
        shorter_found_in_longer(middle);
      } else {
        // What one side has more than the other is extra, whatever is what.
        result_.unaligned += 2 * uint64_t{middle.shorter()};
      }
    }
    emit(middle.a_end, middle.b_end, end);
  }

  // A longest common subsequence (D. S. Hirschberg, Communications of the ACM 18, 1975): the longer
  // side is halved, and the shorter one where most of it is kept. Of ties the last, so that of many
  // that are alike the first ones are taken.
  void shorter_found_in_longer(Range range) {
    range = without_start(range);
    const bool a_longer = range.a_end - range.a >= range.b_end - range.b;
    const uint32_t length = a_longer ? range.a_end - range.a : range.b_end - range.b;
    if (range.shorter() == 0 || length == 1) return;
    const uint32_t half = length / 2;
    Range first = range, second = range;
    (a_longer ? first.a_end : first.b_end) -= length - half;
    (a_longer ? second.a : second.b) += half;
    const std::vector<uint32_t> kept_before = kept_by_length(first, a_longer, false),
                                kept_behind = kept_by_length(second, a_longer, true);
    uint32_t split = 0, most = 0;
    for (uint32_t i = 0; i <= range.shorter(); ++i) {
      const uint32_t kept = kept_before[i] + kept_behind[range.shorter() - i];
      if (kept >= most) most = kept, split = i;
    }
    if (most == 0) return;
    (a_longer ? first.b_end : first.a_end) = (a_longer ? first.b : first.a) + split;
    (a_longer ? second.b : second.a) += split;
    shorter_found_in_longer(first);
    shorter_found_in_longer(second);
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

  // How many exits of the longer side's range the first 0, 1, 2... of the shorter one's have in
  // common with it; the last ones, from the end.
  std::vector<uint32_t> kept_by_length(const Range& range, bool a_longer, bool from_end) const {
    const uint32_t longer = a_longer ? range.a_end - range.a : range.b_end - range.b;
    const uint32_t shorter = a_longer ? range.b_end - range.b : range.a_end - range.a;
    std::vector<uint32_t> kept(shorter + 1);
    for (uint32_t x = 0; x < longer; ++x) {
      uint32_t diagonal = 0;
      for (uint32_t y = 0; y < shorter; ++y) {
        const uint32_t in_longer = from_end ? longer - 1 - x : x;
        const uint32_t in_shorter = from_end ? shorter - 1 - y : y;
        const bool equal = a_longer ? same(range.a + in_longer, range.b + in_shorter)
                                    : same(range.a + in_shorter, range.b + in_longer);
        const uint32_t above = kept[y + 1];
        kept[y + 1] = equal ? diagonal + 1 : std::max(above, kept[y]);
        diagonal = above;
      }
    }
    return kept;
  }

  void between_anchors(const Range& range, size_t round) {
    auto anchors = find_anchors(a_.subspan(range.a, range.a_end - range.a),
                                b_.subspan(range.b, range.b_end - range.b), kAnchorLengths[round]);
    for (auto& [a, b] : anchors) a += range.a, b += range.b;
    if (round != 0 || range.exits() < kWorthTwoThreads || anchors.empty())
      return between(range, anchors, round);
    const auto half = std::span(anchors).subspan(anchors.size() / 2);
    const auto [a, b] = half.front();
    Aligner other(a_, b_, limits_, part_);
    auto second = std::async([&, a = a, b = b] {
      other.between({a, range.a_end, b, range.b_end}, half, round);
    });
    between({range.a, a, range.b, b}, std::span(anchors).first(anchors.size() / 2), round);
    second.get();
    for (const AlignedRun& run : other.result_.runs) emit(run.a, run.b, run.count);
    result_.unaligned += other.result_.unaligned;
  }

  void between(const Range& range, std::span<const Anchor> anchors, size_t round) {
    Range next = range;
    for (const auto& [a, b] : anchors) {
      next.a_end = a;
      next.b_end = b;
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
