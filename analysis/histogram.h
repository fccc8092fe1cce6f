// Durations counted by size: 64 buckets to every power of two, so that a quantile is off by less
// than 0.8 %, in memory that does not grow with the number of values (an octave's 512 bytes come
// with its first value). Minimum, maximum and total are exact. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace kvmtape {

class Histogram {
 public:
  void add(uint64_t value);
  void add(const Histogram& other);

  uint64_t count() const { return count_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  uint64_t total() const { return total_; }
  uint64_t mean() const { return count_ == 0 ? 0 : total_ / count_; }
  // The value below which `share` (0 to 1) of all values lie; 0 when there are none.
  uint64_t quantile(double share) const;
  // How many lie below 100, from there below 1000, and so on by powers of ten; the last holds all
  // from 10^9 up.
  static constexpr size_t kDecades = 9;
  std::array<uint64_t, kDecades> by_decade() const;

 private:
  static constexpr unsigned kBucketBits = 6;
  static constexpr unsigned kBuckets = 1u << kBucketBits;
  static constexpr unsigned kOctaves = 64 - kBucketBits + 1;
  using Octave = std::array<uint64_t, kBuckets>;

  static uint64_t middle_of(unsigned octave, uint64_t bucket);

  std::array<std::unique_ptr<Octave>, kOctaves> octaves_;
  uint64_t count_ = 0;
  uint64_t min_ = ~uint64_t{0};
  uint64_t max_ = 0;
  uint64_t total_ = 0;
};

}  // namespace kvmtape
