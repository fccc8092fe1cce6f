// Which 8-byte words of kvm_run differ from the shadow, and the shadow brought up to date; what is
// kept of a word comes from one load of it. Without vectors this is most of what capture costs: 36
// words take about 4 ns with AVX-512, 7 with AVX2, 20 without.
#pragma once

#include <cstdint>

namespace kvmtape {

// Compares now[0..count) with shadow[0..count), count <= 64; stores now into shadow; bit i of the
// result is set where word i differed.
using ChangedWordsFunction = uint64_t (*)(const uint64_t* now, uint64_t* shadow, uint32_t count);

// What this CPU can run, the fastest first; null behind the last. Asked once, when a vCPU is
// attached.
ChangedWordsFunction changed_words_choice(uint32_t choice) noexcept;
inline ChangedWordsFunction changed_words_function() noexcept { return changed_words_choice(0); }

namespace detail {
// Works everywhere and is clean under ThreadSanitizer; what the faster ones are tested against.
uint64_t changed_words_portable(const uint64_t* now, uint64_t* shadow, uint32_t count) noexcept;
}  // namespace detail

}  // namespace kvmtape
