// Files for what opens its input, or creates its output, by path. Where memory alone can hold them
// they are gone when the process ends, however it ends.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "schema/base/check.h"
#include "schema/base/unique_fd.h"

namespace kvmtape::fuzz {

// One file without a name in any directory; path() opens it as often as wanted.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) { KVMTAPE_CHECK(fd_.valid()); }

  void put(std::span<const uint8_t> bytes) {
    KVMTAPE_CHECK(::ftruncate(fd_.get(), 0) == 0);
    KVMTAPE_CHECK(::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) ==
                  static_cast<ssize_t>(bytes.size()));
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

// A directory of this process below $TMPDIR, which run.py sets and removes.
inline std::filesystem::path scratch_directory() {
  static const std::filesystem::path made = [] {
    auto path = std::filesystem::temp_directory_path() / ("fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  return made;
}

}  // namespace kvmtape::fuzz
