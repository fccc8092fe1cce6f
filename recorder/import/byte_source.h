// Bytes of a file or of standard input, one after another, decompressed on the way if they are a
// zstd frame. Constant memory; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/unique_fd.h"

typedef struct ZSTD_DCtx_s ZSTD_DCtx;

namespace kvmtape {

class ByteSource {
 public:
  // "-" is standard input.
  static Result<ByteSource> open(const std::string& path);

  // Fills `bytes` as far as there are any; fewer only at the end.
  Result<size_t> read(std::span<uint8_t> bytes);
  // Of the decompressed bytes: how many read() has handed out.
  uint64_t position() const { return position_; }

 private:
  ByteSource() = default;
  Result<bool> fill_input();
  Result<bool> fill_output();

  struct Free {
    void operator()(ZSTD_DCtx* context) const;
  };
  std::string path_;
  UniqueFd fd_;
  std::unique_ptr<ZSTD_DCtx, Free> zstd_;  // null: the bytes are plain
  bool frame_open_ = false;
  std::vector<uint8_t> input_, output_;
  size_t input_at_ = 0, input_end_ = 0, output_at_ = 0, output_end_ = 0;
  uint64_t position_ = 0;
};

}  // namespace kvmtape
