// A whole file in memory, read-only, its size fixed when it was opened: what a living recorder
// appends later is not seen. The pages come from the file as they are touched, so that opening a
// large trace costs nothing. A file that somebody truncates meanwhile kills its reader (SIGBUS);
// recorders only append. Movable; unmaps when destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "schema/base/result.h"

namespace kvmtape {

class MappedFile {
 public:
  // Errors: kIo (cannot be opened or read; a directory, a pipe, a device), kNotATrace (empty).
  static Result<MappedFile> open(const std::string& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace kvmtape
