// The trace file as its writer sees it: chunks are appended whole or not at all, so that a full
// disk leaves a readable file and the same chunk can be tried again. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/unique_fd.h"
#include "schema/base/uuid.h"
#include "schema/session_codec.h"

namespace kvmtape {

class TraceFile {
 public:
  // Creates `path` (mode 0600, never following a link) and writes the file header. An existing file
  // is refused unless `force`, which replaces it.
  static Result<TraceFile> create(const std::string& path, bool force, const Uuid& session);

  // Appends one chunk and remembers it for the index. On error the file is as long as before.
  // `lost` and `reasons` go into the index entry of an Exits chunk.
  Result<void> append(std::span<const uint8_t> chunk, uint64_t lost = 0,
                      std::vector<std::pair<uint32_t, uint32_t>> reasons = {});

  // Index and trailer, then fsync. Nothing may follow.
  Result<void> seal();
  Result<void> sync();

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t chunks() const { return chunks_; }
  uint64_t exits() const { return index_.exits; }
  uint64_t lost() const { return index_.lost; }

 private:
  TraceFile() = default;
  Result<void> write(std::span<const uint8_t> bytes);
  Result<void> write_index();

  std::string path_;
  UniqueFd fd_;
  Uuid session_{};
  uint64_t bytes_ = 0;
  uint64_t chunks_ = 0;
  TraceIndex index_;
};

}  // namespace kvmtape
