#include "tests/bench/lttng_session.h"

#include <stdlib.h>
#include <unistd.h>

#include <utility>

#include "tests/bench/child_process.h"
#include "tests/bench/contender.h"

namespace kvmtape::bench {

LttngSession::LttngSession(std::string directory) : directory_(std::move(directory)) {
  // Without privileges the daemon and its applications meet under this directory.
  ::setenv("LTTNG_HOME", directory_.c_str(), 1);
  if (run_program({"lttng", "--no-sessiond", "list"}, directory_).status == 0) {
    reason_skipped_ = "a session daemon already runs and is not disturbed";
    return;
  }
  daemon_ = start_program({"lttng-sessiond", "--no-kernel"}, kConsumerCpu,
                          directory_ + "/lttng-sessiond.log");
  ProgramRun run;
  for (int tries = 0; tries < 50 && run.status != 0 && run.status != 127; ++tries) {
    ::usleep(100 * 1000);
    run = run_program({"lttng", "--no-sessiond", "list"}, directory_);
  }
  if (run.status != 0) reason_skipped_ = "no session daemon: " + run.error_text;
}

void LttngSession::start(const std::string& name) {
  if (!reason_skipped_.empty()) return;
  const std::vector<std::vector<std::string>> steps = {
      {"lttng", "create", name, "--output=" + trace_directory(name)},
      {"lttng", "enable-channel", "--userspace", "--discard", "--subbuf-size=1M", "--num-subbuf=4",
       "bench"},
      {"lttng", "enable-event", "--userspace", "--channel=bench", "kvmtape_bench:moment"},
      {"lttng", "start"}};
  for (const auto& step : steps) {
    const ProgramRun run = run_program(step, directory_);
    if (run.status == 0) continue;
    reason_skipped_ = "lttng " + step[1] + ": " + run.error_text;
    return;
  }
  recording_ = name;
}

void LttngSession::stop() {
  if (recording_.empty()) return;
  run_program({"lttng", "stop", recording_}, directory_);
  run_program({"lttng", "destroy", recording_}, directory_);
  recording_.clear();
}

LttngSession::~LttngSession() {
  stop();
  end_program(daemon_);
}

}  // namespace kvmtape::bench
