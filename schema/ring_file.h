// A ring file (ring_layout.h) in this process's memory: opened without trusting it. Creating one is
// the recorder's business (recorder/ring/ring_create.h).
//
// A session's rings lie in a directory of their own: "session.ring" (control calls and marks) and
// "vcpu-N.ring" by vCPU index. The writer holds a lock (flock) on session.ring while it lives.
// "trace" is a link to the recording, for people who find the directory; it is looked at, and never
// written through. "session.header" is a trace file of nothing but the session's header, so that
// the rings can be read where the recording is gone.
#pragma once

#include <cstddef>
#include <string>

#include "schema/base/result.h"
#include "schema/base/unique_fd.h"
#include "schema/ring_layout.h"

namespace kvmtape {

// A mapped ring; unmaps when destroyed. Movable.
class RingFile {
 public:
  enum class Access { kShared, kCopy };  // kCopy: what is written here stays in this process
  // Maps a ring that another process made. Checks magic, version, and sizes against the file.
  static Result<RingFile> open(const std::string& path, Access access);
  // Takes over a mapping of `bytes` bytes whose header is set.
  static RingFile adopt(std::string path, UniqueFd fd, RingHeader* header, size_t bytes);

  RingFile(RingFile&& other) noexcept;
  RingFile& operator=(RingFile&& other) noexcept;
  ~RingFile();

  RingHeader* header() const { return header_; }
  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  RingFile() = default;
  std::string path_;
  UniqueFd fd_;
  RingHeader* header_ = nullptr;
  size_t bytes_ = 0;
};

// "vcpu-3.ring"; kSessionStream gives "session.ring".
std::string ring_file_name(uint32_t vcpu_index);

inline constexpr const char* kTraceLinkName = "trace";
inline constexpr const char* kHeaderCopyName = "session.header";

// Where sessions' directories lie unless told otherwise: "/dev/shm/kvmtape-UID", of this user.
std::string default_ring_directory();

// Whether the process that made this ring still runs, on this boot of this host.
bool is_maker_alive(const RingFile& ring);

// Whether somebody holds the writer's lock on this session.ring.
bool is_writer_alive(const RingFile& session_ring);

}  // namespace kvmtape
