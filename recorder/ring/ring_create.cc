#include "recorder/ring/ring_create.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <sstream>
#include <utility>

#include "recorder/ring/signal_shield.h"

namespace kvmtape {
namespace {

Error io_error(const std::string& path, const std::string& what, int error_number) {
  return Error{ErrorCode::kIo, what + ": " + std::strerror(error_number), path, std::nullopt};
}

// Field 22 of /proc/self/stat, counted behind the parenthesised name, which may hold anything.
uint64_t own_start_time() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t close = text.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream fields(text.substr(close + 1));
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) {
  }
  return std::strtoull(field.c_str(), nullptr, 10);
}

}  // namespace

RingGeometry ring_geometry(uint64_t ring_bytes) {
  // 16 blocks: the reader gives back a sixteenth at a time, a keyframe costs 2 % of 16 KiB.
  uint64_t block = std::clamp<uint64_t>(ring_bytes / 16, kBlockBytesMin, kBlockBytesMax);
  block = block / 4096 * 4096;
  const uint64_t count = std::max<uint64_t>(ring_bytes / block, kBlockCountMin);
  return {static_cast<uint32_t>(block), static_cast<uint32_t>(std::min<uint64_t>(count, 1u << 20))};
}

Result<RingFile> create_ring(const std::string& path, const RingSpec& spec) {
  const RingGeometry geometry = ring_geometry(spec.ring_bytes);
  const size_t bytes = geometry.file_bytes();
  const SignalShield shield;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return io_error(path, "cannot create the ring", errno);
  // posix_fallocate returns the error; on tmpfs it allocates the pages.
  if (int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)); error != 0) {
    ::unlink(path.c_str());
    return io_error(path,
                    "no room for a ring of " + std::to_string(bytes) +
                        " bytes (use smaller rings, or a ring directory elsewhere)",
                    error);
  }
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    ::unlink(path.c_str());
    return io_error(path, "cannot map the ring", error);
  }
  auto* header = new (memory) RingHeader{};
  header->version = kRingVersion;
  header->header_bytes = kRingHeaderBytes;
  header->session = spec.session;
  header->boot_id = this_boot_id();
  header->vcpu_index = spec.vcpu_index;
  header->vcpu_id = spec.vcpu_id;
  header->block_bytes = geometry.block_bytes;
  header->block_count = geometry.block_count;
  header->core_words = kCoreWords;
  header->overwrite = spec.overwrite ? 1 : 0;
  header->writer_pid = static_cast<uint32_t>(::getpid());
  header->writer_start_time = own_start_time();
  // Last, so that a file without it is one that was never finished.
  std::atomic_ref(header->magic).store(kRingMagic, std::memory_order_release);  // pairs with mmap
  return RingFile::adopt(path, std::move(fd), header, bytes);
}

std::string default_ring_directory() { return "/dev/shm/kvmtape-" + std::to_string(::geteuid()); }

Result<std::string> make_ring_directory(const std::string& wanted, const Uuid& session) {
  std::error_code ignored;
  std::string parent = wanted.empty() ? default_ring_directory()
                                      : std::filesystem::absolute(wanted, ignored).string();
  const std::string path = parent + "/" + to_string(session);
  for (int tries = 1;; ++tries) {
    if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST)
      return io_error(parent, "cannot create the ring directory", errno);
    // A link is followed only where the user named it: anybody may put one into /dev/shm.
    const UniqueFd directory(::open(
        parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | (wanted.empty() ? O_NOFOLLOW : 0)));
    struct stat status {};
    const bool examined = directory.valid() && ::fstat(directory.get(), &status) == 0;
    if (!examined && errno != ENOENT)
      return io_error(parent, "cannot use it as ring directory, name another with --ring-dir",
                      errno);
    if (examined && wanted.empty() && status.st_uid != ::geteuid())
      return Error{ErrorCode::kIo, "belongs to another user: name another with --ring-dir", parent,
                   std::nullopt};
    if (examined && ::mkdirat(directory.get(), to_string(session).c_str(), 0700) == 0) return path;
    // Another session of ours, which was the last, has just removed the parent: once more.
    if (errno != ENOENT || tries == 10)
      return io_error(path, "cannot create the ring directory", errno);
  }
}

bool lock_as_writer(const RingFile& session_ring) {
  return ::flock(session_ring.fd(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace kvmtape
