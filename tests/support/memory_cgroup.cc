#include "tests/support/memory_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "schema/base/check.h"
#include "schema/base/unique_fd.h"

namespace kvmtape::testing {
namespace {

constexpr size_t kPageBytes = 4096;

bool write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == ssize_t(text.size());
}

}  // namespace

MemoryCgroup::MemoryCgroup(size_t bytes) : bytes_(bytes) {
  const std::string version_1 = "/sys/fs/cgroup/memory", version_2 = "/sys/fs/cgroup";
  version_2_ = ::access((version_2 + "/cgroup.subtree_control").c_str(), F_OK) == 0;
  if (version_2_) write_file(version_2 + "/cgroup.subtree_control", "+memory");
  path_ = (version_2_ ? version_2 : version_1) + "/kvmtape-test-" + std::to_string(::getpid());
  if (::mkdir(path_.c_str(), 0700) != 0 ||
      !write(version_2_ ? "memory.max" : "memory.limit_in_bytes", std::to_string(bytes))) {
    why_not_ =
        "no control group that bounds memory can be made: " + path_ + ": " + std::strerror(errno);
    ::rmdir(path_.c_str());
  }
}

MemoryCgroup::~MemoryCgroup() {
  if (made()) ::rmdir(path_.c_str());
}

bool MemoryCgroup::write(const std::string& file, const std::string& text) const {
  return write_file(path_ + "/" + file, text);
}

void MemoryCgroup::add_victim(pid_t pid) const {
  KVMTAPE_CHECK(write_file("/proc/" + std::to_string(pid) + "/oom_score_adj", "1000"));
  KVMTAPE_CHECK(write("cgroup.procs", std::to_string(pid)));
}

void MemoryCgroup::exhaust() const {
  const pid_t eater = ::fork();
  KVMTAPE_CHECK(eater >= 0);
  if (eater == 0) {
    if (!write("cgroup.procs", "0")) ::_exit(1);
    const size_t bytes = 2 * bytes_;
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) ::_exit(1);
    for (size_t at = 0; at < bytes; at += kPageBytes) static_cast<volatile char*>(memory)[at] = 1;
    ::_exit(0);
  }
  ::waitpid(eater, nullptr, 0);
}

uint64_t MemoryCgroup::kills() const {
  std::ifstream events(path_ + (version_2_ ? "/memory.events" : "/memory.oom_control"));
  uint64_t number = 0;
  for (std::string name; events >> name >> number;)
    if (name == "oom_kill") return number;
  return 0;
}

}  // namespace kvmtape::testing
