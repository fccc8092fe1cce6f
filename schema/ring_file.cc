#include "schema/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "schema/base/uuid_text.h"
#include "schema/process_start.h"

namespace kvmtape {
namespace {

Error io_error(const std::string& path, const std::string& what, int error_number) {
  return Error{ErrorCode::kIo, what + ": " + std::strerror(error_number), path, std::nullopt};
}

Result<void> check_header(const RingHeader& header, const std::string& path, uint64_t file_bytes) {
  auto bad = [&](ErrorCode code, const std::string& message) {
    return Error{code, message, path, std::nullopt};
  };
  if (header.magic != kRingMagic) return bad(ErrorCode::kNotATrace, "not a kvmtape ring file");
  if (header.version != kRingVersion)
    return bad(ErrorCode::kUnsupported, "ring of version " + std::to_string(header.version) +
                                            "; this kvmtape reads version " +
                                            std::to_string(kRingVersion) +
                                            ": use the kvmtape that recorded it");
  const uint64_t needed =
      kRingHeaderBytes + uint64_t{header.block_bytes} * uint64_t{header.block_count};
  if (header.header_bytes != kRingHeaderBytes || header.block_bytes < kBlockBytesMin ||
      header.block_bytes > kBlockBytesMax || header.block_bytes % kWordBytes != 0 ||
      header.block_count < kBlockCountMin || header.core_words != kCoreWords)
    return bad(ErrorCode::kCorrupt, "the ring's header does not hold together");
  if (needed > file_bytes)
    return bad(ErrorCode::kTruncated, "the ring says " + std::to_string(needed) +
                                          " bytes, the file has " + std::to_string(file_bytes));
  return {};
}

}  // namespace

Result<RingFile> RingFile::open(const std::string& path, Access access) {
  RingFile file;
  file.path_ = path;
  file.fd_.reset(::open(path.c_str(), (access == Access::kShared ? O_RDWR : O_RDONLY) | O_CLOEXEC |
                                          O_NOFOLLOW | O_NONBLOCK));
  if (!file.fd_.valid()) return io_error(path, "cannot open the ring", errno);
  struct stat status {};
  if (::fstat(file.fd_.get(), &status) != 0)
    return io_error(path, "cannot examine the ring", errno);
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) < kRingHeaderBytes)
    return Error{ErrorCode::kNotATrace, "not a kvmtape ring file", path, std::nullopt};
  file.bytes_ = static_cast<size_t>(status.st_size);
  // A private writable mapping lets the reader use the same code on a ring it must not change.
  void* memory = ::mmap(nullptr, file.bytes_, PROT_READ | PROT_WRITE,
                        access == Access::kShared ? MAP_SHARED : MAP_PRIVATE, file.fd_.get(), 0);
  if (memory == MAP_FAILED) return io_error(path, "cannot map the ring", errno);
  file.header_ = static_cast<RingHeader*>(memory);
  KVMTAPE_TRY(check_header(*file.header_, path, file.bytes_));
  return file;
}

RingFile RingFile::adopt(std::string path, UniqueFd fd, RingHeader* header, size_t bytes) {
  RingFile file;
  file.path_ = std::move(path);
  file.fd_ = std::move(fd);
  file.header_ = header;
  file.bytes_ = bytes;
  return file;
}

RingFile::RingFile(RingFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      header_(std::exchange(other.header_, nullptr)),
      bytes_(other.bytes_) {}

RingFile& RingFile::operator=(RingFile&& other) noexcept {
  if (this == &other) return *this;
  if (header_ != nullptr) ::munmap(header_, bytes_);
  path_ = std::move(other.path_);
  fd_ = std::move(other.fd_);
  header_ = std::exchange(other.header_, nullptr);
  bytes_ = other.bytes_;
  return *this;
}

RingFile::~RingFile() {
  if (header_ != nullptr) ::munmap(header_, bytes_);
}

std::string ring_file_name(uint32_t vcpu_index) {
  return vcpu_index == kSessionStream ? "session.ring"
                                      : "vcpu-" + std::to_string(vcpu_index) + ".ring";
}

std::string default_ring_directory() { return "/dev/shm/kvmtape-" + std::to_string(::geteuid()); }

bool is_maker_alive(const RingFile& ring) {
  const RingHeader& header = *ring.header();
  // Without its start a number says nothing: here it is somebody else's, or nobody's.
  return header.writer_pid != 0 && header.writer_start_time != 0 &&
         header.boot_id == this_boot_id() &&
         process_start_time(static_cast<int>(header.writer_pid)) == header.writer_start_time;
}

bool is_writer_alive(const RingFile& session_ring) {
  if (::flock(session_ring.fd(), LOCK_SH | LOCK_NB) != 0) return true;
  ::flock(session_ring.fd(), LOCK_UN);
  return false;
}

}  // namespace kvmtape
