#include "analysis/diff/identity_cache.h"

#include <algorithm>
#include <array>

#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;
// What lies behind are registers, of which no identity is made.
constexpr size_t kCoreBytes = kCoreWordsS390 * kWordBytes;

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * kPrime;
  return hash ^ hash >> 32;
}

// Four sums at a time, since a multiplication has to wait for the one before.
uint64_t hash_bytes(std::span<const uint8_t> bytes) {
  std::array<uint64_t, 4> sums{1, 2, 3, 4};
  for (; bytes.size() >= 32; bytes = bytes.subspan(32))
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = mix(sums[i], load_le<uint64_t>(bytes.data() + 8 * i));
  for (; bytes.size() >= 8; bytes = bytes.subspan(8))
    sums[0] = mix(sums[0], load_le<uint64_t>(bytes.data()));
  for (const uint8_t byte : bytes) sums[1] = mix(sums[1], byte + 1u);
  return mix(mix(mix(sums[0], sums[1]), sums[2]), sums[3]);
}

std::span<const uint8_t> core_of(std::span<const uint8_t> kvm_run) {
  return kvm_run.first(std::min(kvm_run.size(), kCoreBytes));
}

}  // namespace

uint64_t IdentityCache::hash_of(const RecordedExit& exit, uint64_t state) {
  uint64_t hash = mix(state, static_cast<uint32_t>(exit.ret));
  hash = mix(hash, uint64_t{exit.kvm_run.size()} << 32 | exit.data.size());
  hash = mix(hash, hash_bytes(core_of(exit.kvm_run)));
  hash = mix(hash, hash_bytes(exit.data));
  if (exit.has_answer) {
    hash = mix(hash, uint64_t{exit.answer_data.size()} << 1 | 1);
    hash = mix(hash, hash_bytes(core_of(exit.answer_kvm_run)));
    hash = mix(hash, hash_bytes(exit.answer_data));
  }
  return hash == 0 ? 1 : hash;  // 0: nothing is known there
}

}  // namespace kvmtape
