/* The kernel's types as far as attach.bpf.c looks into them, and how it reads them. Their members
 * are found by BTF when the program is loaded (CO-RE), so this is no copy of any kernel's layout.
 */
#ifndef KVMTAPE_RECORDER_ATTACH_KERNEL_TYPES_BPF_H_
#define KVMTAPE_RECORDER_ATTACH_KERNEL_TYPES_BPF_H_

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
  unsigned long di, si, orig_ax;
#else
  unsigned long regs[31];
  unsigned long orig_x0;
  int syscallno;
#endif
};
struct ns_common {
  unsigned int inum;
};
struct pid_namespace {
  struct ns_common ns;
};
struct upid {
  int nr;
  struct pid_namespace* ns;
};
struct pid {
  unsigned int level;
  struct upid numbers[1];
};
struct file {
  void* private_data;
};
struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};
struct files_struct {
  struct fdtable* fdt;
};
struct signal_struct {
  struct {
    int counter;
  } live; /* atomic_t: threads that have not ended */
};
struct task_struct {
  int tgid;
  struct task_struct* group_leader;
  struct signal_struct* signal;
  struct pid* thread_pid;
  struct files_struct* files;
};
struct kvm_vcpu_arch {
  void* pio_data;
};
struct kvm_vcpu {
  void* kvm;
  int vcpu_id;
  void* run;
  struct kvm_vcpu_arch arch;
};
struct timespec64 {
  long long tv_sec;
};
#pragma clang attribute pop

/* kernel/bpf/helpers.c, 6.2: what it returns is read by plain loads, of which a bad one gives 0. */
void* bpf_rdonly_cast(const void* object, __u32 type) __ksym __weak;

/* Eight bytes of the kernel's memory. By a cast it is two instructions, by the helper three calls
 * deep: where each return is slowed down against speculation, a tenth of the whole. A program that
 * names a function which its kernel lacks may not load, so each is here by either way. */
enum by { BY_HELPER, BY_CAST };

static __always_inline __u64 load(enum by by, const void* from) {
  __u64 word = 0;
  if (by == BY_CAST) {
    /* Any of the kernel's types that begins with eight bytes which are no pointer. */
    struct timespec64* as = bpf_rdonly_cast(from, bpf_core_type_id_kernel(struct timespec64));
    return as->tv_sec;
  }
  bpf_probe_read_kernel(&word, sizeof word, from);
  return word;
}

#if defined(__TARGET_ARCH_x86)
#define SYSTEM_CALL(regs) ((regs)->orig_ax)
#define SYSTEM_CALL_FD(regs) ((unsigned int)(regs)->di)
#define SYSTEM_CALL_REQUEST(regs) ((unsigned int)(regs)->si)
#define IOCTL_NUMBER 16
#else
#define SYSTEM_CALL(regs) ((unsigned long)(regs)->syscallno)
#define SYSTEM_CALL_FD(regs) ((unsigned int)(regs)->orig_x0)
#define SYSTEM_CALL_REQUEST(regs) ((unsigned int)(regs)->regs[1])
#define IOCTL_NUMBER 29
#endif

#endif
