// The heart of Myers' linear-space comparison: where a shortest way from one corner of the edit
// graph to the other passes its middle. E. W. Myers, "An O(ND) Difference Algorithm and Its
// Variations", Algorithmica 1 (1986), section 4b. One thread; buffers are kept from call to call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace kvmtape {

class MiddleSnake {
 public:
  // Equal elements from (x0, y0) up to (x1, y1); none if these are the same point.
  struct Found {
    int64_t x0, y0, x1, y1;
  };

  // `equal(x, y)` compares element x of n with element y of m, both more than 0. None: the distance
  // is more than twice `steps_max`.
  template <typename Equal>
  std::optional<Found> find(int64_t n, int64_t m, int64_t steps_max, const Equal& equal) {
    const int64_t steps = std::min((n + m + 1) / 2, steps_max);
    offset_ = steps + 1;
    forward_.assign(static_cast<size_t>(2 * steps + 3), kNowhere);
    backward_ = forward_;
    const int64_t delta = n - m;
    const bool odd = (delta & 1) != 0;
    for (int64_t d = 0; d <= steps; ++d) {
      for (int64_t k = -d; k <= d; k += 2) {
        const int64_t x0 = start(forward_, d, k, n, m);
        if (x0 == kNowhere) continue;
        int64_t x = x0;
        while (x < n && x - k < m && equal(x, x - k)) ++x;
        at(forward_, k) = x;
        const int64_t other = delta - k;
        if (odd && other >= -(d - 1) && other <= d - 1 && at(backward_, other) != kNowhere &&
            x + at(backward_, other) >= n)
          return Found{x0, x0 - k, x, x - k};
      }
      for (int64_t k = -d; k <= d; k += 2) {
        const int64_t x0 = start(backward_, d, k, n, m);
        if (x0 == kNowhere) continue;
        int64_t x = x0;
        while (x < n && x - k < m && equal(n - 1 - x, m - 1 - (x - k))) ++x;
        at(backward_, k) = x;
        const int64_t other = delta - k;
        if (!odd && other >= -d && other <= d && at(forward_, other) != kNowhere &&
            x + at(forward_, other) >= n)
          return Found{n - x, m - (x - k), n - x0, m - (x0 - k)};
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr int64_t kNowhere = -1;
  int64_t& at(std::vector<int64_t>& reach, int64_t k) {
    return reach[static_cast<size_t>(k + offset_)];
  }
  // How far along diagonal k the d-th step gets, before any equal elements; never outside the
  // graph.
  int64_t start(std::vector<int64_t>& reach, int64_t d, int64_t k, int64_t n, int64_t m) {
    if (d == 0) return 0;
    const int64_t left = at(reach, k - 1), above = at(reach, k + 1);
    const int64_t right = left != kNowhere && left < n ? left + 1 : kNowhere;
    const int64_t down = above != kNowhere && above - k <= m ? above : kNowhere;
    return at(reach, k) = std::max(right, down);
  }

  int64_t offset_ = 0;
  std::vector<int64_t> forward_, backward_;
};

}  // namespace kvmtape
