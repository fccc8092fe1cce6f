// A directory of its own for a test, removed with everything in it when the test ends. Made and
// removed on the test's own thread.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace kvmtape::testing {

class ScratchDirectory {
 public:
  // Under /dev/shm with `in_memory`, else under the system's place for temporary files.
  explicit ScratchDirectory(bool in_memory = false)
      : path_((in_memory ? std::filesystem::path("/dev/shm")
                         : std::filesystem::temp_directory_path()) /
              "kvmtape-test-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "cannot make a scratch directory";
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string operator/(const std::string& name) const { return file(name); }

 private:
  std::string path_;
};

// A new file in the old one's place: ext4 writes one that was truncated and written again to the
// disk when it is closed (auto_da_alloc, Documentation/admin-guide/ext4.rst), and a test that does
// so thousands of times would wait for the disk each time.
inline void write_file(const std::string& path, std::span<const uint8_t> bytes) {
  std::error_code none;
  std::filesystem::remove(path, none);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

inline std::vector<uint8_t> file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace kvmtape::testing
