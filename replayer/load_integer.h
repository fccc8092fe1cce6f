// An integer of one of the sizes that the kernel's structs have, in the byte order of the
// recording. Pure function, any thread; the caller owns the bytes and has checked that they are
// there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

// 0 for any other size. The caller guarantees `bytes` readable bytes.
inline uint64_t load_integer(const uint8_t* from, size_t bytes, ByteOrder order) {
  switch (bytes) {
    case 1:
      return *from;
    case 2:
      return load<uint16_t>(from, order);
    case 4:
      return load<uint32_t>(from, order);
    case 8:
      return load<uint64_t>(from, order);
    default:
      return 0;
  }
}

// The same of `size` bytes at `offset`, which lie within `bytes`: where eight do, by one load
// instead of a jump for each size.
inline uint64_t load_integer(std::span<const uint8_t> bytes, size_t offset, size_t size,
                             ByteOrder order) {
  if (offset + sizeof(uint64_t) > bytes.size() || size == 0) [[unlikely]]
    return load_integer(bytes.data() + offset, size, order);
  const auto word = load<uint64_t>(bytes.data() + offset, order);
  const size_t spare = 8 * (sizeof word - size);
  return order == ByteOrder::kLittle ? word << spare >> spare : word >> spare;
}

}  // namespace kvmtape
