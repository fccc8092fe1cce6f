// The comparison of changed_words.h in plain C++, for every architecture: each word of kvm_run is
// loaded once, relaxed (other threads write immediate_exit).
#pragma once

#include <cstdint>

namespace kvmtape::detail {

inline uint64_t changed_words_range(const uint64_t* now, uint64_t* shadow, uint32_t begin,
                                    uint32_t end) noexcept {
  uint64_t changed = 0;
  for (uint32_t i = begin; i < end; ++i) {
    // relaxed: no partner in this process; the kernel wrote it before KVM_RUN returned
    const uint64_t fresh = __atomic_load_n(now + i, __ATOMIC_RELAXED);
    changed |= uint64_t{fresh != shadow[i]} << i;
    shadow[i] = fresh;
  }
  return changed;
}

}  // namespace kvmtape::detail
