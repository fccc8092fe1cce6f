#include "recorder/attach/ptrace_watch.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "recorder/attach/target.h"

namespace kvmtape {
namespace {

constexpr int kSystemCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
constexpr timeval kPause{0, 20'000};  // after which step() returns, though nothing stopped
constexpr int kSeizeRounds = 16;      // each finds the threads that came during the one before

void wake_up(int) {}

// Interrupts waitpid() while it lives: there is no waitpid() with a timeout.
class WakeUpCalls {
 public:
  WakeUpCalls() {
    struct sigaction action {};
    action.sa_handler = wake_up;  // without SA_RESTART
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval timer{kPause, kPause};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  WakeUpCalls(const WakeUpCalls&) = delete;
  ~WakeUpCalls() {
    const itimerval off{};
    ::setitimer(ITIMER_REAL, &off, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_ {};
};

Error ptrace_refused(int error, const std::string& what) {
  std::string text = "ptrace cannot be used: " + what + ": " + std::strerror(error);
  if (error == EPERM || error == EACCES)
    text +=
        "; run as root or as the monitor's user with /proc/sys/kernel/yama/ptrace_scope at 0, and "
        "see that no debugger has it";
  return Error{ErrorCode::kRefused, text, {}, std::nullopt};
}

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error))
    threads.push_back(std::stoi(entry.path().filename().string()));
  return threads;
}

}  // namespace

PtraceWatch::Vcpu::~Vcpu() {
  if (run != nullptr) ::munmap(run, run_bytes);
}

Result<std::unique_ptr<PtraceWatch>> PtraceWatch::prepare(uint32_t pid) {
  std::unique_ptr<PtraceWatch> watch(new PtraceWatch);
  watch->pid_ = static_cast<pid_t>(pid);
  watch->process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!watch->process_.valid()) return ptrace_refused(errno, "pidfd_open");
  watch->run_bytes_ = host_run_bytes();
  if (watch->run_bytes_ == 0)
    return ptrace_refused(errno, "opening /dev/kvm, for the size of kvm_run");
  // The permission that PTRACE_SEIZE asks for, asked without stopping anything.
  const UniqueFd probe(static_cast<int>(::syscall(SYS_pidfd_getfd, watch->process_.get(), 0, 0)));
  if (!probe.valid() && errno != EBADF) return ptrace_refused(errno, "pidfd_getfd");
  return watch;
}

PtraceWatch::~PtraceWatch() { detach_all(); }

Result<void> PtraceWatch::record_into(kvmtape_session& session) {
  session_ = &session;
  return seize_all();
}

Result<void> PtraceWatch::seize_all() {
  for (int round = 0; round < kSeizeRounds; ++round) {
    bool found = false;
    for (const pid_t thread : threads_of(pid_)) {
      if (threads_.contains(thread)) continue;
      if (::ptrace(PTRACE_SEIZE, thread, nullptr, kOptions) != 0) {
        if (errno == ESRCH) continue;                       // it has just ended
        if (errno == EPERM && !threads_.empty()) continue;  // came by itself, from one we have
        return ptrace_refused(errno, "PTRACE_SEIZE");
      }
      threads_[thread];
      ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
      found = true;
    }
    if (!found) break;
  }
  return {};
}

std::shared_ptr<PtraceWatch::Vcpu> PtraceWatch::map_vcpu(int fd) {
  const auto id = vcpu_of_descriptor(static_cast<uint32_t>(pid_), fd);
  if (!id) return nullptr;
  const UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process_.get(), fd, 0)));
  if (!copy.valid()) return nullptr;
  auto vcpu = std::make_shared<Vcpu>();
  void* run = ::mmap(nullptr, run_bytes_, PROT_READ, MAP_SHARED, copy.get(), 0);
  if (run == MAP_FAILED) return nullptr;
  vcpu->run = run;
  vcpu->run_bytes = run_bytes_;
  std::string warning;  // no memory for a ring: the exits are counted
  auto tape = session_->attach(*id, -1, run, run_bytes_, warning);
  if (!tape.ok()) return nullptr;
  vcpu->tape = *tape;
  vcpus_.push_back(vcpu);
  return vcpu;
}

std::shared_ptr<PtraceWatch::Vcpu> PtraceWatch::vcpu_of(int fd) {
  const auto [entry, is_new] = by_descriptor_.try_emplace(fd);
  if (is_new) entry->second = map_vcpu(fd);
  return entry->second;
}

void PtraceWatch::begin_call(Thread& thread, const __ptrace_syscall_info& call) {
  const auto number = static_cast<long>(call.entry.nr);
  const int fd = static_cast<int>(call.entry.args[0]);
  if (number == SYS_ioctl && static_cast<uint32_t>(call.entry.args[1]) == KVM_RUN) {
    thread.running = vcpu_of(fd);
    thread.fd = fd;
    if (thread.running)
      thread.running->tape->capture.enter();
    else
      ++unidentified_;
  } else if (number == SYS_close) {
    by_descriptor_.erase(fd);
  } else if (number == SYS_dup3 || number == SYS_close_range
#ifdef SYS_dup2
             || number == SYS_dup2
#endif
  ) {
    by_descriptor_.clear();
  }
}

std::optional<int> PtraceWatch::at_system_call(pid_t id) {
  Thread& thread = threads_[id];
  __ptrace_syscall_info call{};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof call, &call) <= 0) return {};
  if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
    begin_call(thread, call);
  } else if (call.op == PTRACE_SYSCALL_INFO_EXIT && thread.running) {
    const auto other_stop = end_run(id, thread, static_cast<int>(call.exit.rval));
    thread.running.reset();
    return other_stop;
  }
  return {};
}

// Registers are asked for where the exit is a crash or a debug exit, never at the frequent ones.
std::optional<int> PtraceWatch::end_run(pid_t id, Thread& thread, int result) {
  Vcpu& vcpu = *thread.running;
  const uint32_t reason = static_cast<const kvm_run*>(vcpu.run)->exit_reason;
  vcpu.ioctls.stand_at(id, thread.fd);
  const bool is_frequent = result == -EINTR || result == -EAGAIN ||
                           (result == 0 && (reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO));
  if (!is_frequent)
    vcpu.tape->capture.take_registers_with(InjectedIoctls::may_be_made_by(id) ? &vcpu.ioctls
                                                                              : nullptr);
  vcpu.tape->capture.exit(result < 0 ? -1 : result, result < 0 ? -result : 0);
  return vcpu.ioctls.other_stop();
}

void PtraceWatch::stopped(pid_t thread, int status) {
  if (!WIFSTOPPED(status)) {
    threads_.erase(thread);
    return;
  }
  const int signal = WSTOPSIG(status);
  const int kind = status >> 16;
  long passed_on = 0;
  threads_[thread];
  if (signal == kSystemCallStop) {
    if (const auto other_stop = at_system_call(thread)) return stopped(thread, *other_stop);
  } else if (kind == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    // The whole process was stopped (SIGSTOP and its kind): it stays so until SIGCONT.
    ::ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);
    return;
  } else if (kind == 0) {
    passed_on = signal;
  }
  ::ptrace(PTRACE_SYSCALL, thread, nullptr, passed_on);
}

bool PtraceWatch::step() {
  const WakeUpCalls wake_up_calls;
  for (;;) {
    int status = 0;
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0) return errno == EINTR && !threads_.empty();
    stopped(thread, status);
    if (threads_.empty()) return false;
  }
}

void PtraceWatch::detach_all() {
  for (const auto& [thread, state] : threads_) ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
  while (!threads_.empty()) {
    int status = 0;
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) break;
    if (WIFSTOPPED(status)) {
      const int signal = WSTOPSIG(status);
      // What stops it on the way to its registers stops it again when it is let go.
      if (signal == kSystemCallStop && session_ != nullptr) (void)at_system_call(thread);
      const bool is_signal = status >> 16 == 0 && signal != kSystemCallStop;
      ::ptrace(PTRACE_DETACH, thread, nullptr, is_signal ? long{signal} : 0L);
    }
    threads_.erase(thread);
  }
}

void PtraceWatch::finish() { detach_all(); }

}  // namespace kvmtape
