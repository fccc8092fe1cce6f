// The monitor as a child of this process: started with an addition to its environment, waited for
// together with everything that it leaves behind. One object a process and time; from its start
// until its end SIGCHLD and the signals that are passed on are blocked in this thread, which takes
// them in wait().
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"

namespace kvmtape {

class Command {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  // Called between fork and exec with the process that will be the command, which waits for it; an
  // error ends it, and is returned.
  using BeforeExec = std::function<Result<void>(pid_t)>;
  // The error's code is kUsage where there is no such program, kRefused where it cannot be run.
  static Result<Command> start(const std::vector<std::string>& words, const Environment& additions,
                               const BeforeExec& before_exec = {});
  Command(Command&& other) noexcept;
  ~Command();

  pid_t pid() const { return pid_; }
  // Sleeps until something happens, `timeout_us` at most, and passes signals on. False once the
  // command and all processes that it left behind have ended, or once it has ended and a signal
  // asks this process to end too.
  bool wait(uint32_t timeout_us);
  // Its exit status, 128+n if signal n ended it. Once the command has ended.
  int status() const { return status_; }
  // Once it has ended: the mark for the trace (schema/mark_text.h); empty: no signal ended it.
  std::string killed_mark() const;

 private:
  Command() = default;
  void reap();

  pid_t pid_ = -1;
  bool running_ = true;
  bool alone_ = false;  // no child is left
  int status_ = 0;
  int killed_by_ = 0;
  bool masked_ = false;
  sigset_t before_{};
};

}  // namespace kvmtape
