#include "recorder/capture/changed_words.h"

#include <immintrin.h>

#include "recorder/capture/portable_changed_words.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

// Not under ThreadSanitizer: other threads may write immediate_exit while a vector is loaded, which
// is harmless (each byte is taken once) but is not an atomic access to it.
#if !defined(__SANITIZE_THREAD__)

// Whether any of 64 words differs: what is not looked at more closely where, as in most of the sync
// area, nothing does.
__attribute__((target("avx2"))) inline bool differs_avx2(const uint64_t* now,
                                                         const uint64_t* shadow) noexcept {
  // Two sums, so that neither waits for the other.
  __m256i different[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (uint32_t i = 0; i < 64; i += 8)
    for (uint32_t half = 0; half < 2; ++half) {
      const auto* fresh = reinterpret_cast<const __m256i*>(now + i + 4 * half);
      const auto* kept = reinterpret_cast<const __m256i*>(shadow + i + 4 * half);
      different[half] = _mm256_or_si256(
          different[half], _mm256_xor_si256(_mm256_loadu_si256(fresh), _mm256_loadu_si256(kept)));
    }
  const __m256i either = _mm256_or_si256(different[0], different[1]);
  return _mm256_testz_si256(either, either) == 0;
}

__attribute__((target("avx2"), always_inline)) inline uint64_t changed_range_avx2(
    const uint64_t* now, uint64_t* shadow, uint32_t count) noexcept {
  uint64_t equal_lanes = 0;
  uint32_t i = 0;
#pragma GCC unroll 16
  for (; i + 4 <= count; i += 4) {
    const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(now + i));
    auto* kept = reinterpret_cast<__m256i*>(shadow + i);
    const __m256i equal = _mm256_cmpeq_epi64(fresh, _mm256_loadu_si256(kept));
    _mm256_storeu_si256(kept, fresh);
    const auto equal_bits = static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
    equal_lanes |= uint64_t{equal_bits} << i;
  }
  const uint64_t compared = i == 64 ? ~uint64_t{0} : (uint64_t{1} << i) - 1;
  return (equal_lanes ^ compared) | detail::changed_words_range(now, shadow, i, count);
}

__attribute__((target("avx2"))) uint64_t changed_words_avx2(const uint64_t* now, uint64_t* shadow,
                                                            uint32_t count) noexcept {
  // What is looked at in every moment, without a loop.
  if (count == kCoreWords) [[likely]]
    return changed_range_avx2(now, shadow, kCoreWords);
  if (count == 64 && !differs_avx2(now, shadow)) return 0;
  return changed_range_avx2(now, shadow, count);
}

__attribute__((target("avx512f"))) inline bool differs_avx512(const uint64_t* now,
                                                              const uint64_t* shadow) noexcept {
  __m512i different = _mm512_setzero_si512();
  for (uint32_t i = 0; i < 64; i += 8)
    different = _mm512_ternarylogic_epi64(different, _mm512_loadu_si512(now + i),
                                          _mm512_loadu_si512(shadow + i), 0xf6);  // a | (b ^ c)
  return _mm512_test_epi64_mask(different, different) != 0;
}

__attribute__((target("avx512f"))) uint64_t changed_words_avx512(const uint64_t* now,
                                                                 uint64_t* shadow,
                                                                 uint32_t count) noexcept {
  if (count == 64 && !differs_avx512(now, shadow)) return 0;
  uint64_t changed = 0;
  uint32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m512i fresh = _mm512_loadu_si512(now + i);
    const uint64_t lanes = _mm512_cmpneq_epi64_mask(fresh, _mm512_loadu_si512(shadow + i));
    if (lanes == 0) continue;  // the same lines change again and again: well predicted
    _mm512_storeu_si512(shadow + i, fresh);
    changed |= lanes << i;
  }
  if (i == count) return changed;
  const auto rest = static_cast<__mmask8>((1u << (count - i)) - 1);
  const __m512i fresh = _mm512_maskz_loadu_epi64(rest, now + i);
  const uint64_t lanes =
      _mm512_cmpneq_epi64_mask(fresh, _mm512_maskz_loadu_epi64(rest, shadow + i));
  if (lanes == 0) return changed;
  _mm512_mask_storeu_epi64(shadow + i, rest, fresh);
  return changed | lanes << i;
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
