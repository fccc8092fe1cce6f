// An LTTng session daemon of our own and one recording session in it: user space only, discarding
// what does not fit, per-user buffers of 4 MiB a CPU. Set up before the LTTng contender, which it
// outlives. Needs lttng-tools; where they are missing or a daemon already runs, the reason is kept.
#pragma once

#include <sys/types.h>

#include <string>

namespace kvmtape::bench {

class LttngSession {
 public:
  explicit LttngSession(std::string directory);
  ~LttngSession();
  LttngSession(const LttngSession&) = delete;

  const std::string& reason_skipped() const { return reason_skipped_; }  // empty: it runs
  // Ends the recording; the trace then stands in trace_directory().
  void stop();
  std::string trace_directory() const { return directory_ + "/lttng-trace"; }

 private:
  std::string directory_;
  std::string reason_skipped_;
  pid_t daemon_ = -1;
  bool running_ = false;
};

}  // namespace kvmtape::bench
