// Creating a session's rings so that no later page fault can fail. Set-up time only: these make
// system calls and allocate.
#pragma once

#include <cstdint>
#include <string>

#include "recorder/ring/ring_memory.h"
#include "schema/base/result.h"
#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {

// make_ring_memory() of this boot, its failures as errors.
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
