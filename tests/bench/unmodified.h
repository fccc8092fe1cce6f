// What recording costs a monitor that knows nothing of it: a guest that does nothing but port I/O,
// plain and recorded in turn, by preload, by eBPF, and by perf record at the same tracepoint.
// Compared is the time that the vCPU's thread computed: by preload within each process, else run
// against run of the same round. Starts processes and waits for them; needs /dev/kvm.
#pragma once

#include <string>

namespace kvmtape::bench {

struct RecordedCost {
  double ratio = 0;            // of the vCPU thread's time, recorded to plain; median of the rounds
  double ns_an_exit = 0;       // the difference
  std::string reason_skipped;  // empty: it was measured
};

struct UnmodifiedCosts {
  RecordedCost preload;
  RecordedCost bpf;
  RecordedCost perf;
  // What the kernel counted in the eBPF programs, its counting included.
  double bpf_program_ns = 0;
};

UnmodifiedCosts measure_unmodified(const std::string& directory);

}  // namespace kvmtape::bench
