// Exits are known again by this hash alone, so what differs must hash otherwise.
#include "analysis/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace kvmtape::testing {
namespace {

std::vector<uint8_t> bytes_of(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

// Through the last word of one block, and into a third.
constexpr size_t kSizes[] = {1,  2,  7,  8,   9,   15,  16,  17,  24,  31,   32,
                             56, 63, 64, 304, 511, 512, 513, 520, 528, 1024, 1031};

TEST(HashTest, EveryBitCounts) {
  for (const size_t size : kSizes) {
    auto bytes = bytes_of(size, size);
    std::set<uint64_t> seen = {hash_bytes(bytes)};
    for (size_t bit = 0; bit < 8 * size; ++bit) {
      const auto flip = static_cast<uint8_t>(1u << bit % 8);
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ flip);
      EXPECT_TRUE(seen.insert(hash_bytes(bytes)).second) << "bit " << bit << " of " << size;
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ flip);
    }
  }
}

TEST(HashTest, LengthCounts) {
  const std::vector<uint8_t> zeros(2048);
  std::set<uint64_t> seen;
  for (size_t size = 0; size <= zeros.size(); ++size)
    EXPECT_TRUE(seen.insert(hash_bytes(std::span(zeros).first(size))).second) << size;
}

TEST(HashTest, PlacesOfWordsCount) {
  const auto bytes = bytes_of(1024, 7);
  std::set<uint64_t> seen = {hash_bytes(bytes)};
  for (size_t a = 0; a < 128; ++a)
    for (size_t b = a + 1; b < 128; ++b) {
      auto swapped = bytes;
      std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(8 * a),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * a + 8),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * b));
      EXPECT_TRUE(seen.insert(hash_bytes(swapped)).second) << a << " and " << b;
    }
}

// The bits that identities are made of and the bits that choose a place in a table.
TEST(HashTest, EachOfItsBitsIsSetInHalf) {
  std::array<unsigned, 64> set{};
  constexpr unsigned kCount = 4096;
  std::vector<uint8_t> bytes(56);
  for (unsigned i = 0; i < kCount; ++i) {
    bytes[40] = static_cast<uint8_t>(i);
    bytes[41] = static_cast<uint8_t>(i >> 8);
    for (uint64_t hash = hash_bytes(bytes); hash != 0; hash &= hash - 1)
      ++set[static_cast<size_t>(std::countr_zero(hash))];
  }
  for (size_t bit = 0; bit < set.size(); ++bit) EXPECT_NEAR(set[bit], kCount / 2, 320) << bit;
}

}  // namespace
}  // namespace kvmtape::testing
