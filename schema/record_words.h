// What stands in single words of a record: numbers, which are little-endian in a ring, and the
// words of kvm_run, which are memory in the recording kernel's byte order. Internal to the chunk
// codec; pure functions, inline because encoder and decoder call them for every exit.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"

namespace kvmtape {

inline uint64_t number(uint64_t word) {
  return kHostByteOrder == ByteOrder::kLittle ? word : byte_swapped(word);
}

// Of a record's first word, as a number.
inline size_t record_words(uint64_t first) { return first & 0xffff; }
inline RecordKind record_kind(uint64_t first) {
  return static_cast<RecordKind>(first >> 16 & 0xff);
}
inline uint8_t record_flags(uint64_t first) { return static_cast<uint8_t>(first >> 24); }
inline int32_t record_ret(uint64_t first) { return static_cast<int32_t>(first >> 32); }
inline uint64_t record_first_word(size_t words, RecordKind kind, uint8_t flags = 0) {
  return number(words | uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24);
}

// Word 1 of kvm_run taken apart: a chunk has a column for each.
struct ReasonWord {
  uint32_t reason;
  uint32_t ready;
  uint32_t flags;
};
inline ReasonWord split_reason_word(uint64_t word, ByteOrder order) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&word);
  return {load<uint32_t>(bytes, order), uint32_t{bytes[4]} | uint32_t{bytes[5]} << 8,
          load<uint16_t>(bytes + 6, order)};
}
inline uint64_t join_reason_word(const ReasonWord& parts, ByteOrder order) {
  uint64_t word = 0;
  auto* bytes = reinterpret_cast<uint8_t*>(&word);
  const uint32_t reason = order == kHostByteOrder ? parts.reason : byte_swapped(parts.reason);
  const auto flags16 = static_cast<uint16_t>(parts.flags);
  const uint16_t flags = order == kHostByteOrder ? flags16 : byte_swapped(flags16);
  std::memcpy(bytes, &reason, 4);
  bytes[4] = static_cast<uint8_t>(parts.ready);
  bytes[5] = static_cast<uint8_t>(parts.ready >> 8);
  std::memcpy(bytes + 6, &flags, 2);
  return word;
}

}  // namespace kvmtape
