#include "schema/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "schema/file_order.h"

namespace kvmtape {

Result<bool> TraceFile::find_old(const std::string& path, bool force) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return false;
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::kUsage,
                 S_ISDIR(status.st_mode) ? "is a directory: name a file to write the trace to"
                                         : "exists and is not a regular file: name another",
                 path, std::nullopt};
  if (!force)
    return Error{ErrorCode::kUsage,
                 "exists already: use --force to replace it, or name another file", path,
                 std::nullopt};
  return true;
}

Result<TraceFile> TraceFile::create(const std::string& path, bool force, const Uuid& session) {
  TraceFile file;
  file.path_ = path;
  file.session_ = session;
  KVMTAPE_TRY_ASSIGN(const bool exists, find_old(path, force));
  // The old one stays until the new one is certain; a reader who has it open keeps it even then.
  const std::string name = exists ? path + ".new-" + std::to_string(::getpid()) : path;
  if (exists) ::unlink(name.c_str());  // a dead process's of the same number
  file.fd_.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.fd_.valid())
    return Error{ErrorCode::kIo,
                 std::string("cannot create the trace: ") + std::strerror(errno) +
                     (errno == ENOENT ? "; make its directory first, or name another file"
                                      : "; name another file"),
                 path, std::nullopt};
  if (exists) file.fresh_.path = name;
  if (auto written = file.write(file_bytes_of(make_file_header(session))); !written.ok()) {
    if (!exists) ::unlink(path.c_str());
    return written.error();
  }
  return file;
}

TraceFile::FreshName::~FreshName() {
  if (!path.empty()) ::unlink(path.c_str());
}

Result<void> TraceFile::rename(const std::string& path) {
  const std::string& now = fresh_.path.empty() ? path_ : fresh_.path;
  if (::rename(now.c_str(), path.c_str()) != 0)
    return Error{ErrorCode::kIo, std::string("cannot be renamed: ") + std::strerror(errno), now,
                 std::nullopt};
  fresh_.path.clear();
  path_ = path;
  return {};
}

bool TraceFile::is_deleted() const {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 && status.st_nlink == 0;
}

Result<void> TraceFile::write(std::span<const uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(bytes_ + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : ENOSPC;
      // Best effort: a reader takes what stays behind for a torn tail.
      if (::ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0) errno = error;
      return Error{ErrorCode::kIo, std::string("cannot write the trace: ") + std::strerror(error),
                   path_, bytes_};
    }
    done += static_cast<size_t>(count);
  }
  bytes_ += bytes.size();
  return {};
}

Result<void> TraceFile::append(std::span<const uint8_t> chunk, uint64_t lost,
                               std::vector<std::pair<uint32_t, uint32_t>> reasons) {
  if (index_.entries.size() >= kIndexEntriesMax) KVMTAPE_TRY(write_index());
  IndexEntry entry = index_entry_of(bytes_, load_file_struct<ChunkHeader>(chunk.data()));
  entry.lost = lost;
  entry.reasons = std::move(reasons);
  KVMTAPE_TRY(write(chunk));
  index_.exits += entry.recorded();
  index_.entries.push_back(std::move(entry));
  index_.lost += lost;
  ++chunks_;
  return {};
}

Result<void> TraceFile::write_index() {
  std::vector<uint8_t> chunk;
  encode_index(index_, session_, chunk);
  const uint64_t offset = bytes_;
  KVMTAPE_TRY(write(chunk));
  index_.entries.clear();
  index_.previous_offset = offset;
  return {};
}

Result<void> TraceFile::seal() {
  KVMTAPE_TRY(write_index());
  KVMTAPE_TRY(write(file_bytes_of(make_file_trailer(index_.previous_offset))));
  return sync();
}

Result<void> TraceFile::sync() {
  if (::fdatasync(fd_.get()) != 0 && errno != EINVAL && errno != EROFS)
    return Error{ErrorCode::kIo, std::string("cannot write to the disk: ") + std::strerror(errno),
                 path_, std::nullopt};
  if (replaces()) return rename(std::string(path_));
  return {};
}

}  // namespace kvmtape
