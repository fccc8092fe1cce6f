// A kExit, kAnswer or kEntry record taken apart, with every length in it checked: from here on the
// encoder trusts it. Internal to the chunk codec; a pure function, inline because it runs for every
// moment. What it returns borrows the record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/record_words.h"
#include "schema/snapshot.h"
#include "schema/sync_area.h"

namespace kvmtape {

struct MomentRecord {
  uint64_t mask = 0;
  uint32_t data_bytes = 0;
  uint8_t flags = 0;
  std::span<const uint64_t> core;
  std::span<const uint64_t> sync;  // masks and words
  std::span<const uint64_t> data;
  bool ok = false;  // false: it does not hold together
};

// std::popcount is a library call on x86-64's base line, and masks have few bits.
inline size_t count_bits(uint64_t mask) {
  size_t count = 0;
  for (; mask != 0; mask &= mask - 1) ++count;
  return count;
}

[[gnu::always_inline]] inline MomentRecord parse_moment(std::span<const uint64_t> record,
                                                        uint8_t flags, uint32_t core_words) {
  MomentRecord moment;
  if (record.size() < kRecordHeaderWords + 1) return moment;
  const uint64_t first = number(record[kRecordHeaderWords]);
  moment.mask = first & kCoreMask;
  moment.data_bytes = static_cast<uint32_t>(first >> kDataBytesShift);
  moment.flags = flags;
  if ((moment.mask & ~core_mask_all(core_words)) != 0 || moment.data_bytes > kDataBytesMax)
    return moment;
  record = record.subspan(kRecordHeaderWords + 1);
  const size_t core = count_bits(moment.mask);
  if (core > record.size()) return moment;
  moment.core = record.first(core);
  record = record.subspan(core);
  if ((flags & kRecordHasSync) != 0) {
    const size_t words = sync_part_words(record);
    if (words == 0) return moment;
    moment.sync = record.first(words);
    record = record.subspan(words);
  }
  const size_t data = (flags & kRecordDataSame) != 0 ? 0 : data_words(moment.data_bytes);
  if (data != record.size()) return moment;
  moment.data = record;
  moment.ok = true;
  return moment;
}

}  // namespace kvmtape
