// How a column of numbers becomes bytes and comes back: narrowing, splitting by byte, and zstd.
// Both directions stand together. Decoders check every size against what they are told to expect
// and allocate nothing beyond that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "schema/base/result.h"

typedef struct ZSTD_CCtx_s ZSTD_CCtx;
typedef struct ZSTD_DCtx_s ZSTD_DCtx;

namespace kvmtape {

// Numbers stored in 0, 1, 2 or 4 bytes each, the fewest that hold all of them; 0: all are zero.
// Appends to `bytes`.
void encode_narrow(std::span<const uint32_t> numbers, std::vector<uint8_t>& bytes);
// `count` numbers out of exactly `bytes`; false if no width fits.
bool decode_narrow(std::span<const uint8_t> bytes, size_t count, std::vector<uint32_t>& numbers);

// Byte `plane` of each number; empty when that byte is zero in all of them.
void encode_plane(std::span<const uint32_t> numbers, uint32_t plane, std::vector<uint8_t>& bytes);
// Ors the plane into `numbers`; false if it is neither empty nor one byte a number.
bool decode_plane(std::span<const uint8_t> bytes, uint32_t plane, std::span<uint32_t> numbers);

// 8-byte words as eight runs of like bytes: the first byte of each word, then the second, and so
// on.
void encode_transposed(std::span<const uint64_t> words, std::vector<uint8_t>& bytes);
// Exactly bytes.size() / 8 words, memory images as they were.
void decode_transposed(std::span<const uint8_t> bytes, std::span<uint64_t> words);

// One zstd context each way, kept from column to column.
class Compressor {
 public:
  // Replaces `out` by one zstd frame of `raw`, or leaves it empty if that would not be smaller.
  void encode_frame(std::span<const uint8_t> raw, std::vector<uint8_t>& out);
  // From now on: less time, more bytes; or as usual again.
  void set_haste(bool haste) { haste_ = haste; }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const;
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  bool haste_ = false;
};

// Whether a frame's head lets it hold so many bytes: cheap, and no promise that it does.
bool may_hold(std::span<const uint8_t> frame, uint64_t raw_bytes);

class Decompressor {
 public:
  // Fills `raw`, whose size is what the frame must hold exactly. False if it does not.
  bool decode_frame(std::span<const uint8_t> frame, std::span<uint8_t> raw);

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const;
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
};

}  // namespace kvmtape
