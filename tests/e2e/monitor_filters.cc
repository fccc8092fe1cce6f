#include "tests/e2e/monitor_filters.h"

#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <initializer_list>
#include <vector>

namespace kvmtape::testing {
namespace {

using Numbers = std::initializer_list<uint32_t>;

void install(std::vector<sock_filter>& steps) {
  const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    exit(1);
  }
}

void install(uint32_t otherwise, Numbers requests, Numbers calls) {
  const auto skip = static_cast<uint8_t>(2 * requests.size() + 2);
  std::vector<sock_filter> steps = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, skip),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1]))};
  auto allow = [&](Numbers numbers) {
    for (const uint32_t number : numbers) {
      steps.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
      steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    steps.push_back(BPF_STMT(BPF_RET | BPF_K, otherwise));
  };
  allow(requests);
  allow(calls);
  install(steps);
}

}  // namespace

void install_filter_against(Numbers calls) {
  std::vector<sock_filter> steps = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const uint32_t number : calls) {
    steps.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  }
  steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  install(steps);
}

void install_run_loop_filter() {
  install(SECCOMP_RET_KILL_PROCESS, {KVM_RUN},
          {SYS_write, SYS_exit_group, SYS_close, SYS_munmap, SYS_brk, SYS_clock_gettime});
}

void install_small_monitor_filter() {
  install(SECCOMP_RET_KILL_PROCESS,
          {KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_GET_VCPU_MMAP_SIZE, KVM_SET_USER_MEMORY_REGION,
           KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_REGS, KVM_RUN},
          {SYS_write, SYS_exit_group, SYS_close, SYS_mmap, SYS_munmap, SYS_brk, SYS_clock_gettime});
}

// Facts from vmm/src/seccomp_filters.rs of Cloud Hypervisor, 2024; left out are calls that have to
// do with sockets, disks and other devices, and requests that are not KVM's.
void install_cloud_hypervisor_api_filter() {
  install(SECCOMP_RET_TRAP, {},
          {SYS_brk, SYS_clock_gettime, SYS_close, SYS_dup, SYS_exit, SYS_fcntl, SYS_futex,
           SYS_getrandom, SYS_madvise, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_prctl,
           SYS_rt_sigprocmask, SYS_sched_yield, SYS_sigaltstack, SYS_write});
}

void install_cloud_hypervisor_vmm_filter() {
  install(SECCOMP_RET_TRAP,
          {KVM_CHECK_EXTENSION,
           KVM_CREATE_DEVICE,
           KVM_CREATE_IRQCHIP,
           KVM_CREATE_VCPU,
           KVM_CREATE_VM,
           KVM_ENABLE_CAP,
           KVM_GET_API_VERSION,
           KVM_GET_MP_STATE,
           KVM_GET_ONE_REG,
           KVM_GET_REGS,
           KVM_GET_VCPU_EVENTS,
           KVM_GET_VCPU_MMAP_SIZE,
           KVM_RUN,
           KVM_SET_MP_STATE,
           KVM_SET_REGS,
           KVM_SET_USER_MEMORY_REGION,
           KVM_SET_VCPU_EVENTS,
           KVM_GET_SREGS,
           KVM_SET_SREGS,
           KVM_SET_GUEST_DEBUG},
          {SYS_brk,
           SYS_clock_gettime,
           SYS_clone,
           SYS_clone3,
           SYS_close,
           SYS_close_range,
           SYS_dup,
           SYS_exit,
           SYS_exit_group,
           SYS_fallocate,
           SYS_fcntl,
           SYS_fstat,
           SYS_ftruncate,
           SYS_futex,
           SYS_getpid,
           SYS_getrandom,
           SYS_gettid,
           SYS_lseek,
           SYS_madvise,
           SYS_memfd_create,
           SYS_mmap,
           SYS_mprotect,
           SYS_mremap,
           SYS_munmap,
           SYS_newfstatat,
           SYS_openat,
           SYS_prctl,
           SYS_read,
           SYS_rseq,
           SYS_rt_sigaction,
           SYS_rt_sigprocmask,
           SYS_rt_sigreturn,
           SYS_sched_getaffinity,
           SYS_sched_yield,
           SYS_seccomp,
           SYS_set_robust_list,
           SYS_sigaltstack,
           SYS_tgkill,
           SYS_write,
           SYS_writev});
}

void install_cloud_hypervisor_vcpu_filter() {
  install(SECCOMP_RET_TRAP,
          {KVM_CHECK_EXTENSION, KVM_IOEVENTFD, KVM_IRQFD, KVM_SET_DEVICE_ATTR, KVM_SET_GSI_ROUTING,
           KVM_SET_USER_MEMORY_REGION, KVM_RUN, KVM_NMI},
          {SYS_brk,          SYS_clock_gettime, SYS_clock_nanosleep,
           SYS_close,        SYS_dup,           SYS_exit,
           SYS_epoll_ctl,    SYS_fstat,         SYS_futex,
           SYS_getrandom,    SYS_getpid,        SYS_lseek,
           SYS_madvise,      SYS_mmap,          SYS_mprotect,
           SYS_mremap,       SYS_munmap,        SYS_nanosleep,
           SYS_newfstatat,   SYS_openat,        SYS_pread64,
           SYS_pwrite64,     SYS_read,          SYS_recvfrom,
           SYS_recvmsg,      SYS_rt_sigaction,  SYS_rt_sigprocmask,
           SYS_rt_sigreturn, SYS_sched_yield,   SYS_sendmsg,
           SYS_shutdown,     SYS_sigaltstack,   SYS_tgkill,
           SYS_tkill,        SYS_write,         SYS_writev});
}

}  // namespace kvmtape::testing
