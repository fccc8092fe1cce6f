// Identities of the exits that came before, by the bytes that were recorded: exits of a recording
// are much alike, and decoding is what takes long. An exit is known again by 64 bits of a hash of
// those bytes that decoding it reads. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/diff/decoded_bytes.h"
#include "analysis/diff/exit_identity.h"
#include "schema/chunk_codec.h"

namespace kvmtape {

class IdentityCache {
 public:
  explicit IdentityCache(Architecture architecture) : decoded_(architecture) {}

  // What make() returned for the same bytes at the same `state` of all else that it depends on.
  template <typename Make>
  ExitIdentity of(const RecordedExit& exit, uint64_t state, const Make& make) {
    if (!is_worth_it()) return make();
    const uint64_t hash = hash_of(exit, state);
    Known& known = known_[hash % kSize];
    ++asked_;
    if (known.hash == hash) {
      ++hits_;
      return known.identity;
    }
    known = {hash, make()};
    return known.identity;
  }

 private:
  struct Known {
    uint64_t hash = 0;
    ExitIdentity identity = 0;
  };
  static constexpr size_t kSize = 8192;
  static constexpr uint64_t kTrial = 1 << 16;

  // Where nearly every exit is new, looking costs more than it saves.
  bool is_worth_it() const { return asked_ < kTrial || hits_ * 8 > asked_; }
  uint64_t hash_of(const RecordedExit& exit, uint64_t state) const;

  DecodedBytes decoded_;
  std::vector<Known> known_ = std::vector<Known>(kSize);
  uint64_t asked_ = 0, hits_ = 0;
};

}  // namespace kvmtape
