// Places to write: a directory that goes with the test, and a file system so small that it fills.
// Set-up and take-down on the test's own thread.
#pragma once

#include <cstddef>
#include <string>

namespace kvmtape::tests {

// A fresh directory, removed with all that is in it.
class ScratchDirectory {
 public:
  // Under /dev/shm with `in_memory`, else under the system's place for temporary files.
  explicit ScratchDirectory(bool in_memory = false);
  ScratchDirectory(const ScratchDirectory&) = delete;
  ~ScratchDirectory();

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A tmpfs of `bytes` bytes mounted in a scratch directory. Only root may mount: mounted() tells,
// and why_not() is the reason that a skipped test gives.
class SmallFileSystem {
 public:
  explicit SmallFileSystem(size_t bytes);
  SmallFileSystem(const SmallFileSystem&) = delete;
  ~SmallFileSystem();

  bool mounted() const { return why_not_.empty(); }
  const std::string& why_not() const { return why_not_; }
  const std::string& path() const { return directory_.path(); }
  std::string operator/(const std::string& name) const { return directory_ / name; }

  // Takes all the room that is left, and gives it back.
  void fill() const;
  void free() const;

 private:
  ScratchDirectory directory_;
  std::string why_not_;
};

}  // namespace kvmtape::tests
