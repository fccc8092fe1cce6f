#include "recorder/capture/changed_words.h"

#include <immintrin.h>

#include "recorder/capture/portable_changed_words.h"

namespace kvmtape {
namespace {

// Not under ThreadSanitizer: other threads may write immediate_exit while a vector is loaded, which
// is harmless (each byte is taken once) but is not an atomic access to it.
#if !defined(__SANITIZE_THREAD__)

__attribute__((target("avx2"))) uint64_t changed_words_avx2(const uint64_t* now, uint64_t* shadow,
                                                            uint32_t count) noexcept {
  uint64_t changed = 0;
  uint32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(now + i));
    auto* kept = reinterpret_cast<__m256i*>(shadow + i);
    const __m256i equal = _mm256_cmpeq_epi64(fresh, _mm256_loadu_si256(kept));
    _mm256_storeu_si256(kept, fresh);
    const auto equal_bits = static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
    changed |= uint64_t{equal_bits ^ 0xf} << i;
  }
  return changed | detail::changed_words_range(now, shadow, i, count);
}

__attribute__((target("avx512f"))) uint64_t changed_words_avx512(const uint64_t* now,
                                                                 uint64_t* shadow,
                                                                 uint32_t count) noexcept {
  uint64_t changed = 0;
  for (uint32_t i = 0; i < count; i += 8) {
    const auto lanes = static_cast<__mmask8>(count - i >= 8 ? 0xff : (1u << (count - i)) - 1);
    const __m512i fresh = _mm512_maskz_loadu_epi64(lanes, now + i);
    const __m512i kept = _mm512_maskz_loadu_epi64(lanes, shadow + i);
    changed |= uint64_t{_mm512_cmpneq_epi64_mask(fresh, kept)} << i;
    _mm512_mask_storeu_epi64(shadow + i, lanes, fresh);
  }
  return changed;
}

#endif

}  // namespace

namespace detail {
uint64_t changed_words_portable(const uint64_t* now, uint64_t* shadow, uint32_t count) noexcept {
  return changed_words_range(now, shadow, 0, count);
}
}  // namespace detail

ChangedWordsFunction changed_words_choice(uint32_t choice) noexcept {
#if !defined(__SANITIZE_THREAD__)
  if (__builtin_cpu_supports("avx512f") && choice-- == 0) return changed_words_avx512;
  if (__builtin_cpu_supports("avx2") && choice-- == 0) return changed_words_avx2;
#endif
  return choice == 0 ? detail::changed_words_portable : nullptr;
}

}  // namespace kvmtape
