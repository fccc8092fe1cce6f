#include "tests/fuzz/trace_repair.h"

#include <cstring>

#include "schema/base/crc32c.h"
#include "schema/trace_format.h"

namespace kvmtape::fuzz {
namespace {

template <typename T>
T read_at(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <typename T>
void write_at(std::span<uint8_t> bytes, size_t at, const T& value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// `covered`: the struct and what follows it under the same CRC.
template <typename T>
void repair_crc(std::span<uint8_t> covered) {
  T value = read_at<T>(covered, 0);
  value.crc32c = 0;
  write_at(covered, 0, value);
  value.crc32c = crc32c(covered);
  write_at(covered, 0, value);
}

}  // namespace

std::vector<ChunkExtent> find_chunks(std::span<const uint8_t> trace) {
  std::vector<ChunkExtent> found;
  for (size_t at = sizeof(FileHeader); at + sizeof(ChunkHeader) <= trace.size();) {
    const auto header = read_at<ChunkHeader>(trace, at);
    const size_t bytes = size_t{header.header_bytes} + header.body_bytes;
    if (header.magic != kChunkMagic || header.header_bytes < sizeof header || bytes % 8 != 0 ||
        bytes > trace.size() - at) {
      at += 8;
      continue;
    }
    found.push_back({at, bytes});
    at += bytes;
  }
  return found;
}

void repair_trace(std::span<uint8_t> trace) {
  if (trace.size() >= sizeof(FileHeader)) repair_crc<FileHeader>(trace.first(sizeof(FileHeader)));
  for (const ChunkExtent& chunk : find_chunks(trace))
    repair_crc<ChunkHeader>(trace.subspan(chunk.begin, chunk.bytes));
  if (trace.size() < sizeof(FileTrailer)) return;
  const auto last = trace.last(sizeof(FileTrailer));
  if (read_at<FileTrailer>(last, 0).magic == kTrailerMagic) repair_crc<FileTrailer>(last);
}

void repair_chunk(std::vector<uint8_t>& chunk) {
  chunk.resize(chunk.size() < sizeof(ChunkHeader) ? sizeof(ChunkHeader) : chunk.size() / 8 * 8);
  auto header = read_at<ChunkHeader>(chunk, 0);
  header.magic = kChunkMagic;
  header.header_bytes = sizeof header;
  header.body_bytes = static_cast<uint32_t>(chunk.size() - sizeof header);
  write_at<ChunkHeader>(chunk, 0, header);
  repair_crc<ChunkHeader>(chunk);
}

}  // namespace kvmtape::fuzz
