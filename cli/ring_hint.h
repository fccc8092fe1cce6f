// Somebody names the rings of a recording instead of the recording, or one of its files that is
// finished: what to name instead. Reads a link and a header, which may be anything. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "replayer/trace_reader.h"

namespace kvmtape {

// "is a directory of rings, of vm.kvmtape: ...", an error's text, if `path` is a session's
// directory of rings or a ring in one; else empty, and of a directory that has to be read alone.
std::string ring_hint(const std::string& path);

// The directory of rings that a recording left which is not there, in the default place or where
// the link stands that `trace` names; or empty.
std::string rings_of_missing(const std::string& trace);

// "rings alone, of vm.kvmtape, which is not there ...", of a directory that is read alone; or why
// what is there was not read with it.
std::string missing_trace_text(const std::string& rings);

// The recording that a file is of, while it runs: as its rings tell.
struct RunningRecording {
  std::string what;          // "a snapshot of a recording that still runs"
  std::string trace;         // its first file, beside which its socket is; empty: not known
  uint32_t monitor_pid = 0;  // 0: not known
};
std::optional<RunningRecording> running_recording(const TraceReader& reader);

}  // namespace kvmtape
