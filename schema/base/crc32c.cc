#include "schema/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

namespace kvmtape {
namespace {

constexpr uint32_t kReflectedPolynomial = 0x82f63b78;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kReflectedPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}
constexpr auto kTable = make_table();

#if defined(__x86_64__)
bool cpu_has_crc() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) uint32_t crc32c_by_cpu(std::span<const uint8_t> bytes,
                                                         uint32_t crc) {
  uint64_t state = ~crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto tail = static_cast<uint32_t>(state);
  for (; i < bytes.size(); ++i) tail = _mm_crc32_u8(tail, bytes[i]);
  return ~tail;
}
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
bool cpu_has_crc() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("+crc"))) uint32_t crc32c_by_cpu(std::span<const uint8_t> bytes,
                                                       uint32_t crc) {
  uint32_t state = ~crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    state = __crc32cd(state, word);
  }
  for (; i < bytes.size(); ++i) state = __crc32cb(state, bytes[i]);
  return ~state;
}
#else
bool cpu_has_crc() { return false; }
uint32_t crc32c_by_cpu(std::span<const uint8_t> bytes, uint32_t crc) {
  return detail::crc32c_by_table(bytes, crc);
}
#endif

}  // namespace

namespace detail {
uint32_t crc32c_by_table(std::span<const uint8_t> bytes, uint32_t crc) {
  crc = ~crc;
  for (uint8_t byte : bytes) crc = kTable[(crc ^ byte) & 0xff] ^ (crc >> 8);
  return ~crc;
}
}  // namespace detail

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t crc) {
  static const bool kByCpu = cpu_has_crc();
  return kByCpu ? crc32c_by_cpu(bytes, crc) : detail::crc32c_by_table(bytes, crc);
}

}  // namespace kvmtape
