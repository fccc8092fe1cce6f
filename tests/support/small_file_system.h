// A file system so small that it fills, for tests of what happens then. Set-up and take-down on the
// test's own thread; needs root.
#pragma once

#include <cstddef>
#include <string>

#include "tests/support/scratch.h"

namespace kvmtape::testing {

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

}  // namespace kvmtape::testing
