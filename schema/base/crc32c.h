// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, as in RFC 3720 section 12.1), the checksum
// of every chunk. Uses the CPU's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvmtape {

// Extends `crc` (0 for the first piece) over `bytes`; pieces may be fed one after another.
uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t crc = 0);

namespace detail {
// The portable table version, exposed so that a test can hold the two against each other.
uint32_t crc32c_by_table(std::span<const uint8_t> bytes, uint32_t crc);
}  // namespace detail

}  // namespace kvmtape
