// `stat --live`: what came since the last look at a recording that still runs. Its file and rings
// are only read: its recorder does not notice. One thread, until the recording ends, nobody reads
// any more, or SIGINT or SIGTERM comes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "analysis/stat.h"
#include "cli/console.h"
#include "cli/trace_options.h"

namespace kvmtape {

// The recording that a monitor (through the recorder above it) or a recorder has open.
Result<std::string> trace_of_process(pid_t process);

// Calls `print` every `interval_ns`. Returns an ExitStatus.
int watch_exits(TraceOptions trace, const SelectOptions& select, StatOptions options,
                int64_t interval_ns,
                const std::function<void(const TraceReader&, const Stat&)>& print,
                Console& console);

}  // namespace kvmtape
