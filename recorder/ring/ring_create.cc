#include "recorder/ring/ring_create.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace kvmtape {
namespace {

Error io_error(const std::string& path, const std::string& what, int error_number) {
  return Error{ErrorCode::kIo, what + ": " + std::strerror(error_number), path, std::nullopt};
}

}  // namespace

Result<RingFile> create_ring(const std::string& path, const RingSpec& spec) {
  const RingMemory memory = make_ring_memory(path.c_str(), spec, this_boot_id());
  switch (memory.failed) {
    case RingMemory::Step::kCreate:
      return io_error(path, "cannot create the ring", memory.error);
    case RingMemory::Step::kAllocate:
      return io_error(path,
                      "no room for a ring of " +
                          std::to_string(ring_geometry(spec.ring_bytes).file_bytes()) +
                          " bytes (use smaller rings, or a ring directory elsewhere)",
                      memory.error);
    case RingMemory::Step::kMap:
      return io_error(path, "cannot map the ring", memory.error);
    case RingMemory::Step::kDone:
      break;
  }
  return RingFile::adopt(path, UniqueFd(memory.fd), memory.header, memory.bytes);
}

Result<std::string> make_ring_directory(const std::string& wanted, const Uuid& session) {
  std::error_code ignored;
  std::string parent = wanted.empty() ? default_ring_directory()
                                      : std::filesystem::absolute(wanted, ignored).string();
  const std::string path = parent + "/" + to_string(session);
  for (int tries = 1;; ++tries) {
    // One that the user named is his to make: a typo must not put the rings onto a disk.
    if (wanted.empty() && ::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST)
      return io_error(parent, "cannot create the ring directory, name another with --ring-dir",
                      errno);
    // A link is followed only where the user named it: anybody may put one into /dev/shm.
    const UniqueFd directory(::open(
        parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | (wanted.empty() ? O_NOFOLLOW : 0)));
    struct stat status {};
    const bool examined = directory.valid() && ::fstat(directory.get(), &status) == 0;
    if (!examined && (errno != ENOENT || !wanted.empty()))
      return io_error(parent, "cannot use it as ring directory, name another with --ring-dir",
                      errno);
    // Who may rename the session's directory may put a link in its place: a directory's owner may,
    // even with its sticky bit. One that root made for all will do if the user named it.
    if (examined && status.st_uid != ::geteuid() && (wanted.empty() || status.st_uid != 0))
      return Error{ErrorCode::kIo,
                   "belongs to another user (uid " + std::to_string(status.st_uid) +
                       "): name another with --ring-dir",
                   parent, std::nullopt};
    if (examined && (status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0)
      return Error{ErrorCode::kIo,
                   "anybody may write to this directory, and rename what is in it: chmod +t it, or "
                   "name another with --ring-dir",
                   parent, std::nullopt};
    if (examined && ::mkdirat(directory.get(), to_string(session).c_str(), 0700) == 0) return path;
    // Another session of ours, which was the last, has just removed the parent: once more.
    if (errno != ENOENT || tries == 10)
      return io_error(path, "cannot create the ring directory, name another with --ring-dir",
                      errno);
  }
}

void link_to_trace(const std::string& ring_directory, const std::string& trace) {
  std::error_code ignored;
  std::filesystem::create_symlink(std::filesystem::absolute(trace, ignored),
                                  ring_directory + "/" + kTraceLinkName, ignored);
}

bool lock_as_writer(const RingFile& session_ring) {
  return ::flock(session_ring.fd(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace kvmtape
