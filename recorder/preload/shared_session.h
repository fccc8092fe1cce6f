// The recording that this process belongs to: the files that `kvmtape record` left in the session's
// ring directory, mapped before main() when the environment names one. Nothing stays open: monitors
// close descriptors that they do not know. Mapped for good; a forked child has it too.
#pragma once

#include <stddef.h>

#include "recorder/ring/record_control.h"
#include "schema/snapshot.h"

namespace kvmtape::preload {

// Null where nothing is recorded: no variable, a directory that is gone, another version of ours.
RecordControl* shared_control() noexcept;

// Path of a file in the session's directory. False if it does not fit.
bool path_in_session(const char* name, char* path, size_t bytes) noexcept;

// Writes into the session's ring, in turn with all threads and processes of the recording; a lock
// that stays taken is not waited for. `call` lacks its payload sizes.
void put_control_call(const ControlCallRecord& call, const uint8_t* in, size_t in_bytes,
                      const uint8_t* out, size_t out_bytes) noexcept;

}  // namespace kvmtape::preload
