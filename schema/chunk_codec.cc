#include "schema/chunk_codec.h"

#include <string>
#include <utility>

#include "schema/base/crc32c.h"
#include "schema/file_order.h"

// The frame of a chunk of any type. What is in an Exits chunk: chunk_encoder.cc, chunk_decoder.cc.
namespace kvmtape {

void append_chunk(ChunkHeader header, std::span<const uint8_t> body, std::vector<uint8_t>& out) {
  header.magic = kChunkMagic;
  header.header_bytes = sizeof header;
  header.body_bytes = static_cast<uint32_t>(body.size());
  header.crc32c = 0;
  header.crc32c = crc32c(body, crc32c(file_bytes_of(header)));
  const auto head = file_bytes_of(header);
  out.insert(out.end(), head.begin(), head.end());
  out.insert(out.end(), body.begin(), body.end());
}

Result<ChunkHeader> check_chunk(std::span<const uint8_t> bytes, uint64_t file_offset) {
  auto error = [&](ErrorCode code, std::string message) {
    return Error{code, std::move(message), {}, file_offset};
  };
  if (bytes.size() < sizeof(ChunkHeader))
    return error(ErrorCode::kTruncated, "the file ends inside a chunk header");
  const auto header = load_file_struct<ChunkHeader>(bytes.data());
  if (header.magic != kChunkMagic) return error(ErrorCode::kCorrupt, "no chunk begins here");
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      header.body_bytes % 8 != 0 || header.body_bytes > kChunkBodyBytesMax)
    return error(ErrorCode::kCorrupt, "the chunk's header does not hold together");
  const uint64_t size = uint64_t{header.header_bytes} + header.body_bytes;
  if (size > bytes.size())
    return error(ErrorCode::kTruncated, "the chunk needs " + std::to_string(size) +
                                            " bytes and the file has " +
                                            std::to_string(bytes.size()) + " left");
  ChunkHeader zeroed = header;
  zeroed.crc32c = 0;
  uint32_t crc = crc32c(file_bytes_of(zeroed));
  crc = crc32c(bytes.subspan(sizeof zeroed, size - sizeof zeroed), crc);
  if (crc != header.crc32c)
    return error(ErrorCode::kCorrupt, "the chunk's checksum does not match");
  return header;
}

}  // namespace kvmtape
