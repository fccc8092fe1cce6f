// The fixed structs of a trace file between memory and file: copied as they are on a little-endian
// machine, with every number swapped on a big-endian one. Pure functions, any thread; the caller
// guarantees sizeof(Struct) readable bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace detail {

template <typename... Numbers>
constexpr void swap_bytes(Numbers&... numbers) {
  ((numbers = byte_swapped(numbers)), ...);
}
// `reserved` stays as it is, so that a checksum over it holds.
constexpr void swap_numbers(FileHeader& header) {
  swap_bytes(header.major, header.minor, header.header_bytes, header.crc32c);
}
constexpr void swap_numbers(ChunkHeader& header) {
  swap_bytes(header.magic, header.type, header.header_bytes, header.body_bytes, header.crc32c,
             header.vcpu_index, header.exits, header.first_seq, header.end_seq, header.first_tsc,
             header.last_tsc, header.cut, header.ring_block, header.ring_bytes);
}
constexpr void swap_numbers(FileTrailer& trailer) {
  swap_bytes(trailer.magic, trailer.index_offset, trailer.crc32c);
}

}  // namespace detail

template <typename Struct>
Struct load_file_struct(const void* from) {
  Struct value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (kHostByteOrder != ByteOrder::kLittle) detail::swap_numbers(value);
  return value;
}

template <typename Struct>
std::array<uint8_t, sizeof(Struct)> file_bytes_of(Struct value) {
  if constexpr (kHostByteOrder != ByteOrder::kLittle) detail::swap_numbers(value);
  std::array<uint8_t, sizeof value> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace kvmtape
