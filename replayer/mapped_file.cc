#include "replayer/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "schema/base/unique_fd.h"

namespace kvmtape {

Result<MappedFile> MappedFile::open(const std::string& path) {
  auto error = [&](ErrorCode code, std::string message) {
    return Error{code, std::move(message), path, std::nullopt};
  };
  // O_NONBLOCK: a named pipe without a writer must not hang.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  constexpr char kNoFile[] = "is not a regular file; a trace is read from a file";
  if (!fd.valid() && errno == ENXIO) return error(ErrorCode::kIo, kNoFile);  // a socket
  if (!fd.valid())
    return error(ErrorCode::kIo, std::string("cannot open it: ") + std::strerror(errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0)
    return error(ErrorCode::kIo, std::string("cannot examine it: ") + std::strerror(errno));
  if (S_ISDIR(status.st_mode))
    return error(ErrorCode::kIo, "is a directory; name the trace file in it");
  if (!S_ISREG(status.st_mode)) return error(ErrorCode::kIo, kNoFile);
  if (status.st_size == 0)
    return error(ErrorCode::kNotATrace, "the file is empty: nothing was recorded");
  const auto size = static_cast<size_t>(status.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (memory == MAP_FAILED)
    return error(ErrorCode::kIo, std::string("cannot map it: ") + std::strerror(errno));
  MappedFile file;
  file.bytes_ = {static_cast<const uint8_t*>(memory), size};
  return file;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace kvmtape
