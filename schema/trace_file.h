// The trace file as its writer sees it: chunks are appended whole or not at all, so that a full
// disk leaves a readable file and the same chunk can be tried again. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/unique_fd.h"
#include "schema/base/uuid.h"
#include "schema/session_codec.h"

namespace kvmtape {

class TraceFile {
 public:
  // Whether create() would replace a file. kUsage, as there: it may not, and what to do instead.
  static Result<bool> find_old(const std::string& path, bool force);

  // Creates `path` (mode 0600, never following a link) and writes the file header. An existing file
  // is refused unless `force`; it is replaced with the first sync() or seal(), once there is
  // something to take its place.
  static Result<TraceFile> create(const std::string& path, bool force, const Uuid& session);

  // Appends one chunk and remembers it for the index. On error the file is as long as before.
  // `lost` and `reasons` go into the index entry of an Exits chunk.
  Result<void> append(std::span<const uint8_t> chunk, uint64_t lost = 0,
                      std::vector<std::pair<uint32_t, uint32_t>> reasons = {});

  // Index and trailer, then fsync. Nothing may follow.
  Result<void> seal();
  Result<void> sync();

  // Gives it another name, in place of what has that.
  Result<void> rename(const std::string& path);
  // Nobody can open it any more: somebody removed it while it was being written.
  bool is_deleted() const;
  // It has not yet taken the place of the one that was there.
  bool replaces() const { return !fresh_.path.empty(); }

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t chunks() const { return chunks_; }
  uint64_t exits() const { return index_.exits; }
  uint64_t lost() const { return index_.lost; }

 private:
  TraceFile() = default;
  Result<void> write(std::span<const uint8_t> bytes);
  Result<void> write_index();

  // The name until the old file is replaced; goes with the object if that never comes.
  struct FreshName {
    std::string path;
    FreshName() = default;
    FreshName(FreshName&& other) noexcept : path(std::exchange(other.path, {})) {}
    FreshName& operator=(FreshName&& other) noexcept {
      std::swap(path, other.path);
      return *this;
    }
    ~FreshName();
  };

  std::string path_;
  FreshName fresh_;
  UniqueFd fd_;
  Uuid session_{};
  uint64_t bytes_ = 0;
  uint64_t chunks_ = 0;
  TraceIndex index_;
};

}  // namespace kvmtape
