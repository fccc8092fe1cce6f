// The body of an Exits chunk as a Cap'n Proto message, both ways: what stands beside the columns,
// and each column as bytes that nobody has looked into yet. kj::Exception ends in its .cc.
// Internal to the chunk codec; pure functions. A body that was read borrows the chunk's bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schema/base/result.h"
#include "schema/chunk_codec.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct StoredColumn {
  uint32_t raw_bytes = 0;
  bool zstd = false;
  std::span<const uint8_t> bytes;
};

struct ChunkMessage {
  StreamDescription stream;
  uint32_t core_words = kCoreWords;
  ClockReading clock;
  uint64_t ticks_per_second = 0;
  uint64_t lost = 0;
  uint64_t lost_total = 0;
  uint64_t previous_tsc = 0;
  std::array<StoredColumn, static_cast<size_t>(ColumnId::kSide) + 1> columns{};  // by ColumnId
};

// Appends a chunk of `header` and `message` to `out`.
void append_exits_chunk(const ChunkHeader& header, const ChunkMessage& message,
                        std::vector<uint8_t>& out);

// kUnsupported: it has a column that decoding needs and we do not know.
Result<void> read_exits_message(std::span<const uint8_t> body, ChunkMessage& message);

// What any part of the decoder says of a chunk; whoever has the file adds where it stands.
inline Error corrupt_chunk(const char* message) {
  return Error{ErrorCode::kCorrupt, message, {}, std::nullopt};
}

}  // namespace kvmtape
