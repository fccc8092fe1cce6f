// A vCPU's ioctls, which KVM takes from the vCPU's own process alone, made by a thread of it that
// stands still under ptrace: it is sent through the kernel once more, and has its registers, its
// signal mask and the stack that was used back before it goes on. One thread, the tracer's.
#pragma once

#include <sys/types.h>

#include <optional>

#include "recorder/capture/registers.h"

namespace kvmtape {

class InjectedIoctls final : public VcpuIoctls {
 public:
  // Whether that may be done: on x86-64, and no system call filter might kill for it.
  static bool may_be_made_by(pid_t thread);

  // By that thread, which stands at the end of a system call, on the vCPU that `fd` is there.
  void stand_at(pid_t thread, int fd) { thread_ = thread, fd_ = fd, other_stop_.reset(); }
  // The structure's size is the request's (_IOC_SIZE), with no pointers in it. EINTR: the thread
  // has stopped for another reason, see other_stop().
  int call(unsigned long request, void* argument) noexcept override;
  // What waitpid() said of a stop, or of the thread's end, that nobody has heard of yet.
  std::optional<int> other_stop() const { return other_stop_; }

 private:
  bool reaches_system_call() noexcept;  // the begin or the end of one

  pid_t thread_ = 0;
  int fd_ = -1;
  std::optional<int> other_stop_;
};

}  // namespace kvmtape
