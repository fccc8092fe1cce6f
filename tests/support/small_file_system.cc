#include "tests/support/small_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "schema/base/check.h"
#include "schema/base/unique_fd.h"

namespace kvmtape::testing {

SmallFileSystem::SmallFileSystem(size_t bytes) {
  const std::string options = "mode=0700,size=" + std::to_string(bytes);
  if (::mount("kvmtape-test", path().c_str(), "tmpfs", 0, options.c_str()) != 0)
    why_not_ = std::string("cannot mount a small tmpfs: ") + std::strerror(errno);
}

SmallFileSystem::~SmallFileSystem() {
  // Lazily: a mapping that a failed test leaves behind must not leave the mount behind too.
  if (mounted()) ::umount2(path().c_str(), MNT_DETACH);
}

void SmallFileSystem::fill() const {
  UniqueFd fd(::open((*this / "ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  KVMTAPE_CHECK(fd.valid());
  const std::vector<char> page(4096, 'x');
  while (::write(fd.get(), page.data(), page.size()) > 0) {
  }
}

void SmallFileSystem::free() const { ::unlink((*this / "ballast").c_str()); }

}  // namespace kvmtape::testing
