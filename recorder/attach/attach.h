// `kvmtape record -p PID`: records a monitor that runs already, from outside, until it ends or
// SIGINT, SIGTERM or SIGHUP comes; the monitor runs on. Exits and answers come as by preload;
// registers cannot be asked for from another process (KVM answers vCPU ioctls with EIO) and stand
// there as not taken, capabilities are those of /dev/kvm. Blocks; one a process.
#pragma once

#include <cstdint>
#include <optional>

#include "recorder/record/record.h"
#include "recorder/record/way.h"

namespace kvmtape {

struct AttachOptions {
  RecordingOptions recording;  // without register policy
  uint32_t pid = 0;
  std::optional<Way::Kind> way;  // kBpf or kPtrace; else the better one that works
};

// status: 0, kRecordFailed, or kExitsMissing when the recording has gaps. `note` is told once it
// records, which way and why.
RecordReport run_attached(const AttachOptions& options, const Say& say, const Say& note);

inline constexpr int kExitsMissing = 3;

// Starts a monitor that cannot be preloaded, watched by eBPF from its first exit on, its children
// too. Otherwise as run_recorded().
RecordReport run_watched(const RecordOptions& options, const Say& say);

// The way for a monitor that is to be started: preload where that works, else eBPF where this user
// may; else none, and what to do.
Result<Way> choose_start_way(const std::string& program);

// What `record --check -p PID` says: the way that would be taken and why.
Result<Way> choose_attach_way(const AttachOptions& options);

}  // namespace kvmtape
