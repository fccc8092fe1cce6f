#include "analysis/diff/anchors.h"

#include <algorithm>
#include <bit>
#include <future>

#include "analysis/hash.h"

namespace kvmtape {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};
constexpr uint32_t kMany = kNone - 1;  // no position: nowhere do so many exits begin

// `length` exits in a row. Of its hash, the bucket that it lies in says the rest.
struct Gram {
  uint32_t hash;
  uint32_t position;
};

// Grams are put into buckets that a cache holds, and compared within each: sorting so many takes
// far longer.
constexpr size_t kBucketGrams = 1024;
constexpr int kBucketBitsMax = 16;
constexpr size_t kWorthAThread = 1 << 20;  // exits of a side

template <typename Visit>
void for_each_gram(std::span<const ExitIdentity> exits, size_t length, const Visit& visit) {
  uint64_t top = 1;  // what the oldest exit of a run has been multiplied by
  for (size_t i = 1; i < length; ++i) top *= kHashFactor;
  uint64_t hash = 0;
  const auto mixed = [](ExitIdentity identity) {
    return (aligned_part(identity) + 1) * kHashFactor;
  };
  for (size_t i = 0; i < exits.size(); ++i) {
    if (i >= length) hash -= mixed(exits[i - length]) * top;
    hash = hash * kHashFactor + mixed(exits[i]);
    if (i + 1 < length) continue;
    const uint64_t spread = (hash ^ hash >> 32) * kHashFactor;
    visit(spread, static_cast<uint32_t>(i + 1 - length));
  }
}

class Buckets {
 public:
  Buckets(std::span<const ExitIdentity> exits, size_t length, int bits)
      : ends_((size_t{1} << bits) + 1), grams_(exits.size() - length + 1) {
    const auto bucket = [&](uint64_t hash) {
      return static_cast<size_t>(hash >> 32 >> (32 - bits));
    };
    for_each_gram(exits, length, [&](uint64_t hash, uint32_t) { ++ends_[bucket(hash) + 1]; });
    for (size_t i = 1; i < ends_.size(); ++i) ends_[i] += ends_[i - 1];
    // Each bucket's beginning becomes its end while it is filled.
    for_each_gram(exits, length, [&](uint64_t hash, uint32_t position) {
      grams_[ends_[bucket(hash)]++] = {static_cast<uint32_t>(hash >> 16), position};
    });
  }

  std::span<const Gram> operator[](size_t bucket) const {
    const uint32_t begin = bucket == 0 ? 0 : ends_[bucket - 1];
    return std::span(grams_).subspan(begin, ends_[bucket] - begin);
  }

 private:
  std::vector<uint32_t> ends_;
  std::vector<Gram> grams_;
};

// Which grams of one bucket stand once on either side. Open addressing.
class Once {
 public:
  void clear(size_t grams) { table_.assign(std::bit_ceil(2 * grams + 1), {0, kNone, kNone}); }
  void add_a(const Gram& gram) {
    Entry& entry = find(gram.hash);
    entry.hash = gram.hash;
    entry.a = entry.a == kNone ? gram.position : kMany;
  }
  void add_b(const Gram& gram) {
    Entry& entry = find(gram.hash);
    if (entry.a != kNone) entry.b = entry.b == kNone ? gram.position : kMany;
  }
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const Entry& entry : table_)
      if (entry.a < kMany && entry.b < kMany) visit(entry.a, entry.b);
  }

 private:
  struct Entry {
    uint32_t hash, a, b;
  };
  Entry& find(uint32_t hash) {
    const size_t mask = table_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask)
      if (table_[at].a == kNone || table_[at].hash == hash) return table_[at];
  }

  std::vector<Entry> table_;
};

// The longest rising subsequence of `b`, where `a` rises already.
std::vector<Anchor> longest_rising(const std::vector<Anchor>& pairs) {
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
  std::vector<Anchor> rising(tails.size());
  uint32_t at = tails.empty() ? kNone : tails.back();
  for (size_t i = rising.size(); i-- > 0; at = previous[at]) rising[i] = pairs[at];
  return rising;
}

}  // namespace

std::vector<Anchor> find_anchors(std::span<const ExitIdentity> a, std::span<const ExitIdentity> b,
                                 size_t length) {
  if (std::min(a.size(), b.size()) < length) return {};
  const auto same = [&](uint32_t x, uint32_t y) {  // not only by hash
    return std::ranges::equal(a.subspan(x, length), b.subspan(y, length), {}, aligned_part,
                              aligned_part);
  };
  std::vector<uint32_t> partners(a.size(), kNone);  // in b
  {
    const int bits =
        std::min(kBucketBitsMax, static_cast<int>(std::bit_width(a.size() / kBucketGrams)));
    const auto how = b.size() < kWorthAThread ? std::launch::deferred
                                              : std::launch::async | std::launch::deferred;
    auto of_b = std::async(how, [&] { return Buckets(b, length, bits); });
    const Buckets in_a(a, length, bits), in_b = of_b.get();
    Once once;
    for (size_t bucket = 0; bucket >> bits == 0; ++bucket) {
      once.clear(in_a[bucket].size());
      for (const Gram& gram : in_a[bucket]) once.add_a(gram);
      for (const Gram& gram : in_b[bucket]) once.add_b(gram);
      once.for_each([&](uint32_t x, uint32_t y) {
        if (same(x, y)) partners[x] = y;
      });
    }
  }
  std::vector<Anchor> pairs;
  for (uint32_t x = 0; x < partners.size(); ++x)
    if (partners[x] != kNone) pairs.emplace_back(x, partners[x]);
  return longest_rising(pairs);
}

}  // namespace kvmtape
