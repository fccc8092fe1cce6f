// An LTTng session daemon of our own and one recording at a time in it: user space only, discarding
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
  // Begins a recording; its trace is whole, in trace_directory(name), once stop() has returned.
  void start(const std::string& name);
  void stop();
  std::string trace_directory(const std::string& name) const { return directory_ + "/" + name; }

 private:
  std::string directory_;
  std::string reason_skipped_;
  pid_t daemon_ = -1;
  std::string recording_;  // name; empty: none
};

}  // namespace kvmtape::bench
