#include "schema/column_writer.h"

#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

void ColumnWriter::write(const ExitColumns& exits, const ChunkColumns& others,
                         const GatheredWords& exit_words, const GatheredWords& answer_words,
                         std::span<const uint8_t> data, ChunkMessage& message) {
  stored_.clear();
  put_narrow(ColumnId::kReason, exits.reasons());
  put_narrow(ColumnId::kFlags, exits.flags());
  put_narrow(ColumnId::kReady, exits.ready());
  put_narrow(ColumnId::kRet, exits.rets());
  put_ticks(ColumnId::kGuestTicks, exits.guest_ticks());
  put_ticks(ColumnId::kMonitorTicks, exits.monitor_ticks());
  put_numbers(ColumnId::kTickEscapes, others.tick_escapes);
  put_narrow(ColumnId::kExitMask, exits.exit_masks());
  put_narrow(ColumnId::kAnswerMask, exits.answer_masks());
  put_numbers(ColumnId::kMasks, others.masks);
  put_words(ColumnId::kExitWords, exit_words);
  put_words(ColumnId::kAnswerWords, answer_words);
  put_memory(ColumnId::kSync, others.sync_words.data(), others.sync_words.size() * kWordBytes);
  put_memory(ColumnId::kData, data.data(), data.size());
  put_memory(ColumnId::kSide, others.side.data(), others.side.size() * kWordBytes);
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
