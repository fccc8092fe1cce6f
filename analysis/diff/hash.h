// The hash that identities of exits and places of differences are made of: a multiplication by 2^64
// through the golden ratio for each number. Two that differ collide by chance only, or by intent: a
// recording made for it can hide a difference.
#pragma once

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

inline uint64_t hash_bytes(std::span<const uint8_t> bytes);
inline uint64_t hash_text(std::string_view text) {
  return hash_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// Two words at a time and two sums, since a multiplication has to wait for the one before.
inline uint64_t hash_bytes(std::span<const uint8_t> bytes) {
  uint64_t even = 1, odd = 2;
  const auto word = [&](size_t number) { return load_le<uint64_t>(bytes.data() + 8 * number); };
  for (; bytes.size() >= 32; bytes = bytes.subspan(32)) {
    even = fold(even ^ word(0), word(1));
    odd = fold(odd ^ word(2), word(3));
  }
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) even = fold(even, word(0));
  for (const uint8_t byte : bytes) odd = fold(odd, byte + 1u);
  return fold(even, odd);
}

}  // namespace kvmtape
