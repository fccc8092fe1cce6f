// The hash that identities of exits and places of differences are made of: a multiplication by 2^64
// through the golden ratio for each number. Two that differ collide by chance only, or by intent: a
// recording made for it can hide a difference.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

inline constexpr uint64_t kHashFactor = 0x9e3779b97f4a7c15;

constexpr uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * kHashFactor;
  return hash ^ hash >> 29;
}

// The two halves of a product, each bit of which depends on most bits of either number.
constexpr uint64_t fold(uint64_t a, uint64_t b) {
  constexpr uint64_t kOtherFactor = 0xbf58476d1ce4e5b9;
  __extension__ using Product = unsigned __int128;
  const Product product = static_cast<Product>(a ^ kHashFactor) * (b ^ kOtherFactor);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// What the words of a block are mixed with, by place: a sequence of G. L. Steele et al., "Fast
// splittable pseudorandom number generators" (2014).
inline constexpr size_t kHashBlockWords = 64;
inline constexpr auto kHashKeys = [] {
  std::array<uint64_t, kHashBlockWords> keys{};
  uint64_t state = 0;
  for (uint64_t& key : keys) {
    key = state += kHashFactor;
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
    key = (key ^ key >> 27) * 0x94d049bb133111eb;
    key ^= key >> 31;
  }
  return keys;
}();

// Products of two words each, which do not wait for one another, and their sum: J. Black et al.,
// "UMAC: fast and secure message authentication" (1999).
inline uint64_t hash_bytes(std::span<const uint8_t> bytes) {
  __extension__ using Product = unsigned __int128;
  uint64_t hash = bytes.size();
  do {
    std::span<const uint8_t> block = bytes.first(std::min(bytes.size(), kHashBlockWords * 8));
    bytes = bytes.subspan(block.size());
    const uint64_t* key = kHashKeys.data();
    Product sum = 0;
    for (; block.size() >= 16; block = block.subspan(16), key += 2)
      sum += static_cast<Product>(load_le<uint64_t>(block.data()) ^ key[0]) *
             (load_le<uint64_t>(block.data() + 8) ^ key[1]);
    if (!block.empty()) {
      uint64_t words[2] = {};
      if (block.size() >= 8) {
        words[0] = load_le<uint64_t>(block.data());
        block = block.subspan(8);
      }
      for (const uint8_t byte : block) words[1] = words[1] << 8 | byte;
      sum += static_cast<Product>(words[0] ^ key[0]) * (words[1] ^ key[1]);
    }
    hash = fold(hash ^ static_cast<uint64_t>(sum), static_cast<uint64_t>(sum >> 64));
  } while (!bytes.empty());
  return hash;
}
inline uint64_t hash_text(std::string_view text) {
  return hash_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace kvmtape
