#include "analysis/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kvmtape {

// Octave 0 holds 0 .. 63 one by one; octave n the values of n + 6 bits, by their top 7.
void Histogram::add(uint64_t value) {
  const auto bits = static_cast<unsigned>(std::bit_width(value));
  const unsigned octave = bits <= kBucketBits ? 0 : bits - kBucketBits;
  const unsigned shift = octave == 0 ? 0 : octave - 1;
  auto& buckets = octaves_[octave];
  if (buckets == nullptr) buckets = std::make_unique<Octave>();
  ++(*buckets)[(value >> shift) & (kBuckets - 1)];
  ++count_;
  total_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Histogram::add(const Histogram& other) {
  for (unsigned octave = 0; octave < kOctaves; ++octave) {
    if (other.octaves_[octave] == nullptr) continue;
    auto& buckets = octaves_[octave];
    if (buckets == nullptr) buckets = std::make_unique<Octave>();
    for (unsigned bucket = 0; bucket < kBuckets; ++bucket)
      (*buckets)[bucket] += (*other.octaves_[octave])[bucket];
  }
  count_ += other.count_;
  total_ += other.total_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::middle_of(unsigned octave, uint64_t bucket) {
  const unsigned shift = octave == 0 ? 0 : octave - 1;
  const uint64_t low = (octave == 0 ? bucket : bucket + kBuckets) << shift;
  return low + ((uint64_t{1} << shift) >> 1);
}

uint64_t Histogram::quantile(double share) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (unsigned octave = 0; octave < kOctaves; ++octave) {
    if (octaves_[octave] == nullptr) continue;
    for (uint64_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += (*octaves_[octave])[bucket];
      if (seen < wanted || seen == 0) continue;
      return std::clamp(middle_of(octave, bucket), min_, max_);
    }
  }
  return max_;
}

std::array<uint64_t, Histogram::kDecades> Histogram::by_decade() const {
  std::array<uint64_t, kDecades> decades{};
  for (unsigned octave = 0; octave < kOctaves; ++octave) {
    if (octaves_[octave] == nullptr) continue;
    for (uint64_t bucket = 0; bucket < kBuckets; ++bucket) {
      // What is in the bucket of the least or greatest value is not beyond it.
      const uint64_t value = std::clamp(middle_of(octave, bucket), min_, max_);
      size_t decade = 0;
      for (uint64_t limit = 100; decade + 1 < kDecades && value >= limit; limit *= 10) ++decade;
      decades[decade] += (*octaves_[octave])[bucket];
    }
  }
  return decades;
}

}  // namespace kvmtape
