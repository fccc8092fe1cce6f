#include "recorder/record/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "schema/base/unique_fd.h"
#include "schema/mark_text.h"

namespace kvmtape {
namespace {

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
constexpr int kSignalStatus = 128;  // what shells add to a signal's number

sigset_t taken_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : kPassedOn) sigaddset(&set, signal);
  return set;
}

int execute(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return errno;
}

Error cannot_start(const std::string& name, int error) {
  return Error{error == ENOENT ? ErrorCode::kUsage : ErrorCode::kRefused,
               std::string("cannot be started: ") + std::strerror(error), name, std::nullopt};
}

}  // namespace

Result<Command> Command::start(const std::vector<std::string>& words, const Environment& additions,
                               const BeforeExec& before_exec) {
  Command command;
  int ends[2], gate[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Error{ErrorCode::kRefused, std::string("no pipe: ") + std::strerror(errno), {}, {}};
  UniqueFd from(ends[0]), to(ends[1]);
  if (::pipe2(gate, O_CLOEXEC) != 0)
    return Error{ErrorCode::kRefused, std::string("no pipe: ") + std::strerror(errno), {}, {}};
  UniqueFd gate_out(gate[0]), gate_in(gate[1]);
  const sigset_t taken = taken_signals();
  pthread_sigmask(SIG_BLOCK, &taken, &command.before_);
  command.masked_ = true;
  // What a daemon leaves behind becomes our child, so that its end is known.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  command.pid_ = ::fork();
  if (command.pid_ == 0) {
    for (const auto& [name, value] : additions) ::setenv(name.c_str(), value.c_str(), 1);
    pthread_sigmask(SIG_SETMASK, &command.before_, nullptr);
    char opened = 0;
    gate_in.reset();
    if (::read(gate_out.get(), &opened, 1) != 1) ::_exit(1);
    const int failure = execute(words);
    // Unheard only where the parent is gone.
    ::_exit(::write(to.get(), &failure, sizeof failure) < 0 ? 1 : 0);
  }
  int error = errno;
  to.reset();
  Result<void> allowed;
  if (command.pid_ > 0 && before_exec) allowed = before_exec(command.pid_);
  if (command.pid_ > 0 && allowed.ok()) (void)!::write(gate_in.get(), "!", 1);
  gate_in.reset();
  if (!allowed.ok()) {
    ::waitpid(command.pid_, nullptr, 0);
    return allowed.error();
  }
  if (command.pid_ > 0) {
    if (::read(from.get(), &error, sizeof error) != sizeof error) return command;
    ::waitpid(command.pid_, nullptr, 0);
  }
  return cannot_start(words.front(), error);
}

Command::Command(Command&& other) noexcept
    : pid_(other.pid_),
      running_(other.running_),
      alone_(other.alone_),
      status_(other.status_),
      killed_by_(other.killed_by_),
      masked_(std::exchange(other.masked_, false)),
      before_(other.before_) {}

Command::~Command() {
  if (masked_) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Command::reap() {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == 0) return;
    if (ended < 0) {
      alone_ = errno == ECHILD;
      return;
    }
    if (ended != pid_) continue;
    running_ = false;
    if (WIFSIGNALED(status)) killed_by_ = WTERMSIG(status);
    status_ = killed_by_ != 0 ? kSignalStatus + killed_by_ : WEXITSTATUS(status);
  }
}

std::string Command::killed_mark() const {
  if (killed_by_ == 0) return {};
  const char* name = ::sigabbrev_np(killed_by_);
  return std::string(kMonitorKilledMark) +
         (name == nullptr ? "signal " + std::to_string(killed_by_) : std::string("SIG") + name);
}

bool Command::wait(uint32_t timeout_us) {
  const sigset_t taken = taken_signals();
  const timespec timeout{timeout_us / 1'000'000, long{timeout_us % 1'000'000} * 1000};
  siginfo_t info{};
  const int signal = ::sigtimedwait(&taken, &info, &timeout);
  reap();
  if (alone_) return false;
  if (signal <= 0 || signal == SIGCHLD) return true;
  if (!running_) return false;
  // What a terminal sends (SI_KERNEL), it has sent to the monitor too.
  if (info.si_code != SI_KERNEL) ::kill(pid_, signal);
  return true;
}

}  // namespace kvmtape
