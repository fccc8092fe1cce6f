#include "tests/bench/hot_path_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

#include "tests/bench/contender.h"

namespace {
thread_local uint64_t allocations = 0;
}

void* operator new(size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace kvmtape::bench {
namespace {

HotPathCalls* shared = nullptr;  // with the child

void count_system_call(int) { ++shared->system_calls; }

// Every system call of this thread but the return from the handler and the end of the process.
bool trap_system_calls() {
  struct sigaction action {};
  action.sa_handler = count_system_call;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return false;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof code / sizeof code[0], code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

[[noreturn]] void replay_trapped(const Workload& workload, const std::string& directory) {
  RunPage page(workload);
  Entrant entrant = make_kvmtape({page.bytes(), kRunPageBytes, kCoreBytes}, directory);
  if (!entrant.contender || !trap_system_calls()) ::_exit(1);
  // Proof that the trap works: this one call is taken off again.
  (void)::syscall(SYS_getppid);
  if (shared->system_calls != 1) ::_exit(1);
  shared->system_calls = 0;
  const uint64_t before = allocations;
  for (size_t i = 0; i < workload.exits(); ++i) {
    entrant.contender->exit(page.next());
    page.next();
    entrant.contender->answer();
  }
  shared->allocations = allocations - before;
  shared->exits = workload.exits();
  ::_exit(0);  // the session is not closed: that would make system calls
}

}  // namespace

HotPathCalls count_hot_path_calls(const Workload& workload, const std::string& directory) {
  void* memory = ::mmap(nullptr, sizeof(HotPathCalls), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {0, 0, 0, "no shared memory"};
  shared = new (memory) HotPathCalls;
  const pid_t child = ::fork();
  if (child == 0) replay_trapped(workload, directory);
  int status = -1;
  ::waitpid(child, &status, 0);
  HotPathCalls counted = *shared;
  ::munmap(memory, sizeof(HotPathCalls));
  if (status != 0) counted.reason_skipped = "seccomp cannot be used here";
  return counted;
}

}  // namespace kvmtape::bench
