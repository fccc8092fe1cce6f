// How the monitor of a recording ended, as its recorder saw it and marked: `record` waits for the
// monitor that it started, other ways of recording cannot tell. One thread: that of the reader.
#pragma once

#include <string>

#include "replayer/trace_reader.h"

namespace kvmtape {

// "SIGKILL"; empty: no signal is known to have ended it. Walks the records that belong to no vCPU.
std::string monitor_killed_by(TraceReader& reader);

}  // namespace kvmtape
