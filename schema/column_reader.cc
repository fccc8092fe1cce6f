#include "schema/column_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "schema/record_words.h"

namespace kvmtape {

Result<void> ColumnReader::read_times(ChunkColumns& columns) {
  KVMTAPE_TRY(read_narrow(ColumnId::kReason, columns.reasons));
  KVMTAPE_TRY(read_narrow(ColumnId::kRet, columns.errnos));
  KVMTAPE_TRY(read_narrow(ColumnId::kAnswerMask, columns.answer_masks));
  KVMTAPE_TRY(read_numbers(ColumnId::kTickEscapes, columns.tick_escapes));
  KVMTAPE_TRY(read_ticks(ColumnId::kGuestTicks, header_.exits, columns.guest));
  size_t answers = 0;
  for (uint32_t id : columns.answer_masks) answers += id != 0;
  return read_ticks(ColumnId::kMonitorTicks, answers, columns.monitor);
}

Result<void> ColumnReader::check_rest(ChunkColumns& columns) {
  for (const StoredColumn& column : message_.columns)
    if (column.zstd && !may_hold(column.bytes, column.raw_bytes))
      return corrupt_chunk("a column does not decompress");
  KVMTAPE_TRY(read_masks(columns));
  KVMTAPE_TRY(count_words(ColumnId::kExitWords, columns.masks, columns.exit_masks, 0));
  KVMTAPE_TRY(count_words(ColumnId::kAnswerWords, columns.masks, columns.answer_masks, 1));
  return {};
}

Result<void> ColumnReader::read_masks(ChunkColumns& columns) {
  KVMTAPE_TRY(read_narrow(ColumnId::kExitMask, columns.exit_masks));
  KVMTAPE_TRY(read_numbers(ColumnId::kMasks, columns.masks));
  if (columns.masks.size() % 2 != 0 || columns.masks.size() / 2 > kChunkMasksMax)
    return corrupt_chunk("the change masks are cut off");
  return {};
}

Result<void> ColumnReader::read_rest(ChunkColumns& columns, GroupedWords& exit_words,
                                     GroupedWords& answer_words) {
  KVMTAPE_TRY(read_narrow(ColumnId::kFlags, columns.flags));
  KVMTAPE_TRY(read_narrow(ColumnId::kReady, columns.ready));
  KVMTAPE_TRY(read_masks(columns));
  KVMTAPE_TRY(read_words(ColumnId::kExitWords, columns.masks, columns.exit_masks, 0, exit_words));
  KVMTAPE_TRY(
      read_words(ColumnId::kAnswerWords, columns.masks, columns.answer_masks, 1, answer_words));
  KVMTAPE_TRY(read_memory(ColumnId::kSync, columns.sync_words));
  KVMTAPE_TRY(read_memory(ColumnId::kSide, columns.side));
  return read(ColumnId::kData, columns.data);
}

Result<void> ColumnReader::read(ColumnId id, std::vector<uint8_t>& raw) {
  const StoredColumn& column = message_.columns[static_cast<size_t>(id)];
  raw.resize(column.raw_bytes);
  if (column.zstd) {
    if (!decompressor_.decode_frame(column.bytes, raw))
      return corrupt_chunk("a column does not decompress");
  } else {
    if (column.bytes.size() != raw.size())
      return corrupt_chunk("a column has another size than it says");
    std::copy(column.bytes.begin(), column.bytes.end(), raw.begin());
  }
  return {};
}

Result<void> ColumnReader::read_narrow(ColumnId id, std::vector<uint32_t>& numbers) {
  KVMTAPE_TRY(read(id, raw_));
  if (!decode_narrow(raw_, header_.exits, numbers))
    return corrupt_chunk("a column has another length than the chunk");
  return {};
}

Result<void> ColumnReader::read_numbers(ColumnId id, std::vector<uint64_t>& numbers) {
  KVMTAPE_TRY(read_memory(id, numbers));
  for (uint64_t& value : numbers) value = number(value);
  return {};
}

Result<void> ColumnReader::read_memory(ColumnId id, std::vector<uint64_t>& words) {
  KVMTAPE_TRY(read(id, raw_));
  if (raw_.size() % kWordBytes != 0) return corrupt_chunk("a column of words is cut off");
  words.resize(raw_.size() / kWordBytes);
  if (!raw_.empty()) std::memcpy(words.data(), raw_.data(), raw_.size());
  return {};
}

Result<void> ColumnReader::read_ticks(ColumnId first, size_t count, std::vector<uint32_t>& ticks) {
  ticks.assign(count, 0);
  for (uint32_t plane = 0; plane < kTickPlanes; ++plane) {
    KVMTAPE_TRY(read(static_cast<ColumnId>(static_cast<uint16_t>(first) + plane), raw_));
    if (!decode_plane(raw_, plane, ticks)) return corrupt_chunk("a time column has another length");
  }
  return {};
}

// Where the words of each place begin follows from how often each mask is used. `bias` is what
// mask_ids are greater than indexes into `masks` by; those below it use none.
Result<ColumnReader::WordCounts> ColumnReader::count_words(ColumnId id,
                                                           const std::vector<uint64_t>& masks,
                                                           const std::vector<uint32_t>& mask_ids,
                                                           uint32_t bias) const {
  const size_t mask_count = masks.size() / 2;
  std::vector<uint32_t> uses(mask_count + bias);
  for (uint32_t mask_id : mask_ids) {
    if (mask_id >= uses.size()) return corrupt_chunk("a change mask is missing");
    ++uses[mask_id];
  }
  WordCounts counts{};
  size_t total = 0;
  for (size_t i = 0; i < mask_count; ++i)
    for (uint64_t mask = masks[2 * i] & kCoreMask; mask != 0; mask &= mask - 1) {
      const auto place = static_cast<size_t>(std::countr_zero(mask));
      if (place >= message_.core_words)
        return corrupt_chunk("a change mask names a word beyond kvm_run");
      counts[place] += uses[i + bias];
      total += uses[i + bias];
    }
  if (message_.columns[static_cast<size_t>(id)].raw_bytes != total * kWordBytes)
    return corrupt_chunk("a column of words has another length");
  return counts;
}

Result<void> ColumnReader::read_words(ColumnId id, const std::vector<uint64_t>& masks,
                                      const std::vector<uint32_t>& mask_ids, uint32_t bias,
                                      GroupedWords& words) {
  KVMTAPE_TRY_ASSIGN(const WordCounts counts, count_words(id, masks, mask_ids, bias));
  KVMTAPE_TRY(read(id, raw_));
  words.words.resize(raw_.size() / kWordBytes);
  size_t at = 0;
  for (size_t place = 0; place < counts.size(); ++place) {
    words.next[place] = words.words.data() + at;
    decode_transposed(std::span(raw_).subspan(at * kWordBytes, counts[place] * kWordBytes),
                      std::span(words.words).subspan(at, counts[place]));
    at += counts[place];
  }
  return {};
}

}  // namespace kvmtape
