// What `kvmtape record` and the preload library inside the monitor's processes tell each other: the
// file "control" in the session's ring directory, mapped by all of them. `record` makes it before
// the monitor starts. Nothing but libc; whoever maps it may be killed at any instruction, so every
// count is atomic and the lock is robust.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "recorder/ring/capture_filter.h"
#include "schema/base/uuid.h"
#include "schema/trace_format.h"

namespace kvmtape {

inline constexpr uint64_t kRecordControlMagic = 0x6c6f72746e6f6374;  // "tcontrol", little-endian
inline constexpr uint32_t kRecordControlVersion = 6;                 // both sides agree exactly
inline constexpr const char* kRecordControlFile = "control";
// Names the session's ring directory to the preload library.
inline constexpr const char* kRecordDirectoryVariable = "KVMTAPE_RECORD_DIRECTORY";
inline constexpr uint32_t kUnrecordedVcpusMax = kVcpusMax - kVcpusWithRingMax;

struct RecordControl {
  // Immutable once the monitor runs.
  uint64_t magic;
  uint32_t version;
  uint32_t bytes;  // sizeof(RecordControl)
  Uuid session;
  Uuid boot_id;
  uint64_t ring_bytes;        // per vCPU
  uint64_t ring_bytes_total;  // cap over all rings
  uint32_t overwrite;
  uint32_t registers;  // RegisterPolicy
  uint32_t registers_every;
  uint32_t flight;  // rings that nobody consumes: they coalesce, and may be smaller than wanted
  // How long a crashed vCPU waits for `record` to read guest memory; 0: it does not read any.
  uint64_t crash_wait_ticks;
  uint32_t filters;  // system call filters that `record` runs under itself
  uint32_t reserved;

  CaptureFilter filter;

  // The writers of session.ring take turns: process-shared and robust.
  pthread_mutex_t session_ring_mutex;

  std::atomic<uint32_t> stopped;  // by `record`: a ring that is made now is (RingSpec::stopped)

  // Any process of the monitor.
  std::atomic<uint32_t> processes;           // that have the library and mapped this
  std::atomic<uint32_t> filtered_processes;  // of those: were started under filters of their own
  std::atomic<uint32_t> next_index;          // of the next vCPU
  std::atomic<uint32_t> rings_made;          // rises when a new ring may be read
  std::atomic<uint32_t> calls_lost;  // control calls that found session.ring taken for too long
  std::atomic<uint64_t> ring_bytes_used;
  // Crash exits whose registers are in a ring, and how many of them `record` has come by to read
  // guest memory for: the monitor may be gone a moment later.
  std::atomic<uint32_t> crashes;
  std::atomic<uint32_t> crashes_read;

  // vCPUs whose exits are only counted, because there was no memory for a ring. What does not fit
  // is counted with the last.
  struct UnrecordedVcpu {
    uint32_t vcpu_id;
    uint32_t reserved;
    std::atomic<uint64_t> lost;
  };
  std::atomic<uint32_t> unrecorded_count;
  UnrecordedVcpu unrecorded[kUnrecordedVcpusMax];
};

}  // namespace kvmtape
