// Attach by ptrace, where eBPF is not permitted: every thread of the monitor stops at the begin and
// end of each of its system calls; around KVM_RUN this process looks at kvm_run, which it maps
// through the vCPU's own descriptor (pidfd_getfd). Works on any monitor that this user may debug,
// and makes it slow: some ten microseconds a system call. Being seized interrupts a KVM_RUN that is
// under way once, as a signal does, and detaching once more; monitors know EINTR.
//
// The thread that seizes is the tracer: everything here is called on it. Linux 5.6 (pidfd_getfd).
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "recorder/attach/injected_ioctls.h"
#include "recorder/attach/watch.h"
#include "schema/base/unique_fd.h"

struct __ptrace_syscall_info;

namespace kvmtape {

class PtraceWatch final : public Watch {
 public:
  // kRefused where this user may not debug the process, or somebody else does already.
  static Result<std::unique_ptr<PtraceWatch>> prepare(uint32_t pid);
  ~PtraceWatch() override;

  Result<void> record_into(kvmtape_session& session) override;
  bool step() override;
  void finish() override;
  uint64_t unidentified() const override { return unidentified_; }

 private:
  struct Vcpu {
    Vcpu() = default;
    Vcpu(const Vcpu&) = delete;
    ~Vcpu();
    void* run = nullptr;
    size_t run_bytes = 0;
    kvmtape_vcpu* tape = nullptr;
    InjectedIoctls ioctls;
  };
  struct Thread {
    std::shared_ptr<Vcpu> running;  // between the begin and the end of its KVM_RUN
    int fd = -1;                    // what it named the vCPU by
  };

  PtraceWatch() = default;
  Result<void> seize_all();
  void stopped(pid_t thread, int status);
  // Both return what waitpid() said of a stop that came in between.
  std::optional<int> at_system_call(pid_t thread);
  std::optional<int> end_run(pid_t id, Thread& thread, int result);
  void begin_call(Thread& thread, const __ptrace_syscall_info& call);
  std::shared_ptr<Vcpu> vcpu_of(int fd);
  std::shared_ptr<Vcpu> map_vcpu(int fd);
  void detach_all();

  pid_t pid_ = 0;
  UniqueFd process_;
  kvmtape_session* session_ = nullptr;
  size_t run_bytes_ = 0;
  std::map<pid_t, Thread> threads_;
  std::map<int, std::shared_ptr<Vcpu>> by_descriptor_;  // null: no vCPU; until it is closed
  std::vector<std::shared_ptr<Vcpu>> vcpus_;            // mapped until the end
  uint64_t unidentified_ = 0;
};

}  // namespace kvmtape
