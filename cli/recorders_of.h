// Who records a process, found in /proc: for verbs that take a monitor's process in place of its
// recording. Sees only what this user may see of other processes. Main thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace kvmtape {

// The process whose number `target` is; nullopt: it is no number, or a file has this name.
std::optional<pid_t> process_named(const std::string& target);

struct OpenTrace {
  std::string path;
  bool is_removed = false;  // since it was opened
};

// The recordings that `process` has open.
std::vector<OpenTrace> open_traces_of(pid_t process);

// Processes with a recording open that may be of `process`: itself, whoever it was started by, and
// those that have attached to it. The likeliest first.
std::vector<pid_t> recorders_of(pid_t process);

}  // namespace kvmtape
