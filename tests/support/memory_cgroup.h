// A control group that bounds memory, for tests of what the kernel's OOM killer does. On the test's
// own thread; needs root and a memory controller, of version 1 or 2.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace kvmtape::testing {

// made() tells whether it is there, and why_not() is the reason that a skipped test gives.
class MemoryCgroup {
 public:
  explicit MemoryCgroup(size_t bytes);
  MemoryCgroup(const MemoryCgroup&) = delete;
  ~MemoryCgroup();

  bool made() const { return why_not_.empty(); }
  const std::string& why_not() const { return why_not_; }

  // The process is in it from now on, and among its processes the first to be killed.
  void add_victim(pid_t pid) const;
  // A process that takes more memory than there is, until nobody is left to be killed but itself.
  void exhaust() const;
  // How many processes were killed for memory.
  uint64_t kills() const;

 private:
  bool write(const std::string& file, const std::string& text) const;

  bool version_2_ = false;
  size_t bytes_;
  std::string path_, why_not_;
};

}  // namespace kvmtape::testing
