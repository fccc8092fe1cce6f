#include "analysis/diff/identity_cache.h"

#include "analysis/hash.h"

namespace kvmtape {
namespace {

uint64_t hash_data(std::span<const uint8_t> data) { return data.empty() ? 0 : hash_bytes(data); }

}  // namespace

// Parts that do not wait for one another.
uint64_t IdentityCache::hash_of(const RecordedExit& exit, uint64_t state) const {
  const uint64_t how = static_cast<uint32_t>(exit.ret) | uint64_t{exit.reason_is_new} << 32 |
                       uint64_t{exit.has_answer} << 33;
  uint64_t hash = fold(fold(state, how), exit.kvm_run.size()) ^
                  fold(hash_bytes(decoded_.of_exit(exit)), hash_data(exit.data));
  if (exit.has_answer)
    hash = fold(hash, fold(hash_bytes(decoded_.of_answer(exit)), hash_data(exit.answer_data)));
  return hash == 0 ? 1 : hash;  // 0: nothing is known there
}

}  // namespace kvmtape
