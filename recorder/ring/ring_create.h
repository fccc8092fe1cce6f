// Creating a session's rings so that no later page fault can fail. Set-up time only: these make
// system calls and allocate.
#pragma once

#include <cstdint>
#include <string>

#include "schema/base/result.h"
#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {

struct RingSpec {
  Uuid session{};
  uint32_t vcpu_index = 0;
  uint32_t vcpu_id = 0;
  uint64_t ring_bytes = 1 << 20;  // rounded to whole blocks
  bool overwrite = false;
};

// How a ring of about `ring_bytes` is cut: at least kBlockCountMin blocks of at least
// kBlockBytesMin.
struct RingGeometry {
  uint32_t block_bytes;
  uint32_t block_count;
  uint64_t file_bytes() const { return kRingHeaderBytes + uint64_t{block_bytes} * block_count; }
};
RingGeometry ring_geometry(uint64_t ring_bytes);

// Allocates every byte before mapping it (a sparse file on a full file system would kill the
// monitor with SIGBUS) and faults it in. Refuses an existing name.
Result<RingFile> create_ring(const std::string& path, const RingSpec& spec);

// Where rings lie unless told otherwise, "/dev/shm/kvmtape-UID": shared by this user's sessions.
std::string default_ring_directory();

// The session's own directory, mode 0700, in `wanted` or, if that is empty, in the default place,
// either of which is created; its absolute path. A default place that is somebody else's, or a
// link, is refused.
Result<std::string> make_ring_directory(const std::string& wanted, const Uuid& session);

// Takes the lock that says "the writer lives" on session.ring; held until its RingFile goes.
bool lock_as_writer(const RingFile& session_ring);

}  // namespace kvmtape
