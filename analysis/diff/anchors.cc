#include "analysis/diff/anchors.h"

#include <algorithm>

namespace kvmtape {
namespace {

constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;

struct Gram {
  uint64_t hash;
  uint32_t position;
};

std::vector<Gram> unique_grams(std::span<const ExitIdentity> exits, size_t length) {
  std::vector<Gram> grams;
  if (exits.size() < length) return grams;
  grams.reserve(exits.size() - length + 1);
  uint64_t top = 1;  // what the oldest exit of a run has been multiplied by
  for (size_t i = 1; i < length; ++i) top *= kPrime;
  uint64_t hash = 0;
  const auto mixed = [](ExitIdentity identity) { return (aligned_part(identity) + 1) * kPrime; };
  for (size_t i = 0; i < exits.size(); ++i) {
    if (i >= length) hash -= mixed(exits[i - length]) * top;
    hash = hash * kPrime + mixed(exits[i]);
    if (i + 1 >= length) grams.push_back({hash, static_cast<uint32_t>(i + 1 - length)});
  }
  std::ranges::sort(grams, {}, &Gram::hash);
  size_t kept = 0;
  for (size_t i = 0; i < grams.size();) {
    size_t end = i + 1;
    while (end < grams.size() && grams[end].hash == grams[i].hash) ++end;
    if (end == i + 1) grams[kept++] = grams[i];
    i = end;
  }
  grams.resize(kept);
  return grams;
}

// The longest rising subsequence of `b`, where `a` rises already.
std::vector<std::pair<uint32_t, uint32_t>> longest_rising(
    const std::vector<std::pair<uint32_t, uint32_t>>& pairs) {
  constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> tails, previous(pairs.size(), kNone);
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    const auto place =
        tails.empty() || pairs[tails.back()].second < pairs[i].second
            ? tails.end()
            : std::ranges::lower_bound(tails, pairs[i].second, {},
                                       [&](uint32_t tail) { return pairs[tail].second; });
    if (place != tails.begin()) previous[i] = *(place - 1);
    if (place == tails.end())
      tails.push_back(i);
    else
      *place = i;
  }
  std::vector<std::pair<uint32_t, uint32_t>> rising(tails.size());
  uint32_t at = tails.empty() ? kNone : tails.back();
  for (size_t i = rising.size(); i-- > 0; at = previous[at]) rising[i] = pairs[at];
  return rising;
}

}  // namespace

std::vector<std::pair<uint32_t, uint32_t>> find_anchors(std::span<const ExitIdentity> a,
                                                        std::span<const ExitIdentity> b,
                                                        size_t length) {
  std::vector<std::pair<uint32_t, uint32_t>> pairs;
  {
    const std::vector<Gram> in_a = unique_grams(a, length), in_b = unique_grams(b, length);
    const auto same = [&](uint32_t x, uint32_t y) {  // not only by hash
      return std::ranges::equal(a.subspan(x, length), b.subspan(y, length), {}, aligned_part,
                                aligned_part);
    };
    auto y = in_b.begin();
    for (const Gram& x : in_a) {
      while (y != in_b.end() && y->hash < x.hash) ++y;
      if (y == in_b.end()) break;
      if (y->hash == x.hash && same(x.position, y->position))
        pairs.emplace_back(x.position, y->position);
    }
  }
  std::ranges::sort(pairs);
  return longest_rising(pairs);
}

}  // namespace kvmtape
