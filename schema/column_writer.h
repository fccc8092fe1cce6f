// A chunk's columns to bytes: each by its rule (column_codec.h), then by zstd if that is smaller.
// Runs once a chunk; column_reader.h is the way back. Internal to the chunk encoder; keeps its
// memory, and what it filled in is borrowed from it until it writes again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_columns.h"
#include "schema/chunk_message.h"
#include "schema/column_codec.h"
#include "schema/exit_columns.h"
#include "schema/trace_format.h"

namespace kvmtape {

class ColumnWriter {
 public:
  // Fills in message.columns.
  void write(const ExitColumns& exits, const ChunkColumns& others, const GatheredWords& exit_words,
             const GatheredWords& answer_words, std::span<const uint8_t> data,
             ChunkMessage& message);
  // As Compressor's.
  void set_haste(bool haste) { compressor_.set_haste(haste); }

 private:
  void put_narrow(ColumnId id, std::span<const uint32_t> numbers);
  void put_ticks(ColumnId first, std::span<const uint32_t> ticks);
  void put_numbers(ColumnId id, std::span<const uint64_t> numbers);
  void put_words(ColumnId id, const GatheredWords& words);
  void put_memory(ColumnId id, const void* memory, size_t bytes);
  void put(ColumnId id);  // what stands in raw_

  struct Place {
    size_t begin = 0;
    size_t bytes = 0;
    uint32_t raw_bytes = 0;
    bool zstd = false;
  };
  Compressor compressor_;
  std::vector<uint8_t> raw_, frame_;
  std::vector<uint8_t> stored_;  // all columns of a chunk
  std::array<Place, std::tuple_size_v<decltype(ChunkMessage::columns)>> places_;
};

}  // namespace kvmtape
