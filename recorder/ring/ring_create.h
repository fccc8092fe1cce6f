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

// The session's own directory, mode 0700, in `wanted` or, if that is empty, in the default place,
// its absolute path. Only the default place is created; one that is somebody else's, or a link, is
// refused, and so is any place where others may rename what is ours.
Result<std::string> make_ring_directory(const std::string& wanted, const Uuid& session);

// Leaves in a session's directory whose rings these are. Where that fails, nothing is missing but a
// hint.
void link_to_trace(const std::string& ring_directory, const std::string& trace);

// Takes the lock that says "the writer lives" on session.ring; held until its RingFile goes.
bool lock_as_writer(const RingFile& session_ring);

}  // namespace kvmtape
