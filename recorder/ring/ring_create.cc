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
#include <fstream>
#include <iterator>
#include <new>
#include <sstream>
#include <utility>

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

Result<std::string> make_ring_directory(const std::string& wanted, const Uuid& session) {
  std::string parent = wanted;
  if (parent.empty()) parent = "/dev/shm/kvmtape-" + std::to_string(::getuid());
  if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST)
    return io_error(parent, "cannot create the ring directory", errno);
  struct stat status {};
  if (::lstat(parent.c_str(), &status) != 0)
    return io_error(parent, "cannot examine the ring directory", errno);
  if (!S_ISDIR(status.st_mode) || (wanted.empty() && status.st_uid != ::getuid()))
    return Error{ErrorCode::kIo, "is not a directory of ours: name another with --ring-dir", parent,
                 std::nullopt};
  std::string path = parent + "/" + to_string(session);
  if (::mkdir(path.c_str(), 0700) != 0)
    return io_error(path, "cannot create the ring directory", errno);
  return path;
}

bool lock_as_writer(const RingFile& session_ring) {
  return ::flock(session_ring.fd(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace kvmtape
