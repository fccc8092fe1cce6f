// Whether a sanitizer's runtime is in the process, for tests that are shorter there, or that ask
// what its runtime does not grant. g++ and clang say so in ways of their own.
#pragma once

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer)
#define KVMTAPE_ADDRESS_SANITIZER
#elif __has_feature(thread_sanitizer)
#define KVMTAPE_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KVMTAPE_ADDRESS_SANITIZER
#elif defined(__SANITIZE_THREAD__)
#define KVMTAPE_THREAD_SANITIZER
#endif

namespace kvmtape::testing {

#if defined(KVMTAPE_THREAD_SANITIZER)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#if defined(KVMTAPE_ADDRESS_SANITIZER)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = kThreadSanitizer;
#endif

}  // namespace kvmtape::testing
