#include "schema/column_writer.h"

#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

void ColumnWriter::write(const ChunkColumns& columns, const GatheredWords& exit_words,
                         const GatheredWords& answer_words, ChunkMessage& message) {
  stored_.clear();
  put_narrow(ColumnId::kReason, columns.reasons);
  put_narrow(ColumnId::kFlags, columns.flags);
  put_narrow(ColumnId::kReady, columns.ready);
  put_narrow(ColumnId::kRet, columns.errnos);
  put_ticks(ColumnId::kGuestTicks, columns.guest);
  put_ticks(ColumnId::kMonitorTicks, columns.monitor);
  put_numbers(ColumnId::kTickEscapes, columns.tick_escapes);
  put_narrow(ColumnId::kExitMask, columns.exit_masks);
  put_narrow(ColumnId::kAnswerMask, columns.answer_masks);
  put_numbers(ColumnId::kMasks, columns.masks);
  put_words(ColumnId::kExitWords, exit_words);
  put_words(ColumnId::kAnswerWords, answer_words);
  put_memory(ColumnId::kSync, columns.sync_words.data(), columns.sync_words.size() * kWordBytes);
  put_memory(ColumnId::kData, columns.data.data(), columns.data.size());
  put_memory(ColumnId::kSide, columns.side.data(), columns.side.size() * kWordBytes);
  for (size_t id = 1; id < places_.size(); ++id) {
    const Place& place = places_[id];
    message.columns[id] = {place.raw_bytes, place.zstd,
                           std::span(stored_).subspan(place.begin, place.bytes)};
  }
}

void ColumnWriter::put_narrow(ColumnId id, std::span<const uint32_t> numbers) {
  encode_narrow(numbers, raw_);
  put(id);
}

void ColumnWriter::put_ticks(ColumnId first, std::span<const uint32_t> ticks) {
  for (uint32_t plane = 0; plane < kTickPlanes; ++plane) {
    encode_plane(ticks, plane, raw_);
    put(static_cast<ColumnId>(static_cast<uint16_t>(first) + plane));
  }
}

void ColumnWriter::put_numbers(ColumnId id, std::span<const uint64_t> numbers) {
  raw_.resize(numbers.size() * sizeof(uint64_t));
  for (size_t i = 0; i < numbers.size(); ++i) store_le(&raw_[i * sizeof(uint64_t)], numbers[i]);
  put(id);
}

void ColumnWriter::put_words(ColumnId id, const GatheredWords& words) {
  for (const auto& place : words.places) encode_transposed(place, raw_);
  put(id);
}

void ColumnWriter::put_memory(ColumnId id, const void* memory, size_t bytes) {
  raw_.resize(bytes);
  if (bytes != 0) std::memcpy(raw_.data(), memory, bytes);
  put(id);
}

void ColumnWriter::put(ColumnId id) {
  // zstd's frame header and block header alone take 12 bytes.
  frame_.clear();
  if (raw_.size() > 16) compressor_.encode_frame(raw_, frame_);
  const auto& bytes = frame_.empty() ? raw_ : frame_;
  places_[static_cast<size_t>(id)] = {stored_.size(), bytes.size(),
                                      static_cast<uint32_t>(raw_.size()), !frame_.empty()};
  stored_.insert(stored_.end(), bytes.begin(), bytes.end());
  raw_.clear();
}

}  // namespace kvmtape
