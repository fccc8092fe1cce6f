/* The eBPF half of attach: runs in the kernel, on the vCPU's thread, at two tracepoints of KVM_RUN.
 *
 *   kvm_userspace_exit  virt/kvm/kvm_main.c, kvm_vcpu_ioctl(): behind kvm_arch_vcpu_ioctl_run(),
 *                       kvm_run is complete.
 *   kvm_fpu (load)      arch/x86/kvm/x86.c of 6.18, kvm_arch_vcpu_ioctl_run(): kvm_load_guest_fpu()
 *                       comes first but for kvm_run->flags = 0; what the monitor answered is still
 *                       in place. The tests compare the answers with those by preload. Where it
 *                       does not exist, sys_enter.
 *
 * Neither says which vCPU. The system call's registers name the descriptor, the process's table the
 * file, its private_data is struct kvm_vcpu: kvm_run is then read where the kernel has it, and not
 * through the monitor's mapping, whose pages need not be there. What is read of the kernel's types
 * is found by BTF (CO-RE), so one build works on every kernel that has it. */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "recorder/attach/vcpu_moment.h"

#define KVM_RUN 0xae80 /* _IO(KVMIO, 0x80), include/uapi/linux/kvm.h */
#define KVM_EXIT_IO 2
#define KVM_EXIT_IO_OUT 1
#define PID_LEVELS_MAX 32 /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */

/* Of the kernel's types what is needed here. */
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
struct task_struct {
  int tgid;
  struct task_struct* group_leader;
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

/* The head of kvm_run, include/uapi/linux/kvm.h: only what finds the port-I/O bytes. */
struct run_head {
  __u64 unused;
  __u32 exit_reason;
  __u32 unused_2;
  __u64 unused_3[2];
  __u8 direction;
  __u8 size;
  __u16 port;
  __u32 count;
};

const volatile struct watch_config config = {};
__u64 unidentified = 0; /* exits whose vCPU could not be told */

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 24); /* set anew before loading */
} moments SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, KVMTAPE_VCPUS_MAX);
  __type(key, __u64);
  __type(value, struct vcpu_state);
} vcpus SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH); /* the watched process and its children, by tgid */
  __uint(max_entries, KVMTAPE_PROCESSES_MAX);
  __type(key, __u32);
  __type(value, __u32);
} processes SEC(".maps");

static bool is_watched_by_number(struct task_struct* task) {
  struct pid* pid = task->group_leader->thread_pid;
  unsigned int level = pid->level;
  void* numbers = (void*)pid + bpf_core_field_offset(struct pid, numbers);
  for (unsigned int i = 0; i < PID_LEVELS_MAX && i <= level; ++i) {
    struct {
      int nr;
      void* ns;
    } number;
    bpf_probe_read_kernel(&number, sizeof number, numbers + i * sizeof number);
    struct pid_namespace* ns = number.ns;
    if (number.nr == (int)config.pid && BPF_CORE_READ(ns, ns.inum) == config.pid_ns_inode)
      return true;
  }
  return false;
}

static bool is_watched(struct task_struct* task) {
  __u32 tgid = task->tgid;
  if (bpf_map_lookup_elem(&processes, &tgid) != NULL) return true;
  if (!is_watched_by_number(task)) return false;
  bpf_map_update_elem(&processes, &tgid, &tgid, BPF_ANY);
  return true;
}

/* The vCPU whose KVM_RUN this thread is in, or NULL. */
static __always_inline struct kvm_vcpu* running_vcpu(enum by by, struct task_struct* task) {
  struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs(task);
  if (SYSTEM_CALL(regs) != IOCTL_NUMBER || SYSTEM_CALL_REQUEST(regs) != KVM_RUN) return NULL;
  unsigned int fd = SYSTEM_CALL_FD(regs);
  struct fdtable* table = task->files->fdt;
  if (fd >= table->max_fds) return NULL;
  struct file** files = table->fd;
  void* file = (void*)load(by, files + fd);
  if (file == NULL) return NULL;
  return (void*)load(by, file + bpf_core_field_offset(struct file, private_data));
}

/* What is known of it: looked up by its address; asked for anew where another vCPU lay before. */
static __always_inline struct vcpu_state* state_of(enum by by, struct task_struct* task,
                                                   __u64 address) {
  struct kvm_vcpu* vcpu = (struct kvm_vcpu*)address;
  __u64 run = load(by, (void*)vcpu + bpf_core_field_offset(struct kvm_vcpu, run));
  struct vcpu_state* state = bpf_map_lookup_elem(&vcpus, &address);
  if (state != NULL && state->key.run == run && state->key.process == (__u32)task->tgid)
    return state;
  struct vcpu_state fresh = {.answer_due = 1}; /* its first KVM_RUN: an answer to no exit */
  fresh.key.address = address;
  fresh.key.run = run;
  fresh.key.process = task->tgid;
  fresh.key.id = BPF_CORE_READ(vcpu, vcpu_id);
  if (bpf_core_field_exists(vcpu->arch.pio_data))
    fresh.pio_data = (__u64)BPF_CORE_READ(vcpu, arch.pio_data);
  fresh.watched = is_watched(task);
  bpf_map_update_elem(&vcpus, &address, &fresh, BPF_ANY);
  return bpf_map_lookup_elem(&vcpus, &address);
}

/* Of this thread's vCPU; NULL if it is none of ours. */
static __always_inline struct vcpu_state* watched_vcpu(enum by by, struct task_struct* task) {
  struct kvm_vcpu* vcpu = running_vcpu(by, task);
  if (vcpu == NULL) {
    if (is_watched(task)) __sync_fetch_and_add(&unidentified, 1);
    return NULL;
  }
  struct vcpu_state* state = state_of(by, task, (__u64)vcpu);
  return state == NULL || !state->watched ? NULL : state;
}

/* Bytes of port I/O that belong to what kvm_run says. */
static __always_inline __u32 port_bytes(const struct vcpu_state* state,
                                        const struct vcpu_moment* moment) {
  const struct run_head* head = (const struct run_head*)moment->kvm_run;
  if (head->exit_reason != KVM_EXIT_IO || moment->ret < 0 || state->pio_data == 0) return 0;
  /* KVM looks at them no more, and who reads has them from the exit. */
  if (moment->kind == MOMENT_ANSWER && head->direction == KVM_EXIT_IO_OUT) return 0;
  __u64 bytes = (__u64)head->size * head->count;
  return bytes > KVMTAPE_LARGE_DATA_BYTES ? 0 : (__u32)bytes;
}

static __always_inline void fill(struct vcpu_moment* moment, const struct vcpu_state* state,
                                 __u64 now, __u16 kind, int ret) {
  moment->vcpu = state->key;
  moment->time_ns = now;
  moment->exits = state->exits;
  moment->ret = ret;
  moment->kind = kind;
  moment->data_bytes = 0;
  bpf_probe_read_kernel(moment->kvm_run, sizeof moment->kvm_run, (void*)state->key.run);
}

/* Without room in the ring buffer it is left out; `exits` of the next tells. */
static __always_inline void tell(const struct vcpu_state* state, __u64 now, __u16 kind, int ret) {
  struct vcpu_moment* moment =
      bpf_ringbuf_reserve(&moments, sizeof *moment + KVMTAPE_SMALL_DATA_BYTES, 0);
  if (moment == NULL) return;
  fill(moment, state, now, kind, ret);
  __u32 bytes = port_bytes(state, moment);
  if (bytes >= KVMTAPE_SMALL_DATA_BYTES) {
    bpf_ringbuf_discard(moment, BPF_RB_NO_WAKEUP);
    moment = bpf_ringbuf_reserve(&moments, sizeof *moment + KVMTAPE_LARGE_DATA_BYTES, 0);
    if (moment == NULL) return;
    fill(moment, state, now, kind, ret);
    barrier_var(bytes); /* the compiler is not to know what the verifier has yet to see */
    if (bytes <= KVMTAPE_LARGE_DATA_BYTES &&
        bpf_probe_read_kernel(moment + 1, bytes, (void*)state->pio_data) == 0)
      moment->data_bytes = bytes;
  } else if (bytes != 0) {
    barrier_var(bytes);
    bytes &= KVMTAPE_SMALL_DATA_BYTES - 1;
    if (bpf_probe_read_kernel(moment + 1, bytes, (void*)state->pio_data) == 0)
      moment->data_bytes = bytes;
  }
  /* The reader comes by itself every few milliseconds; waking it is dearer than all of the above.
   */
  bpf_ringbuf_submit(moment, BPF_RB_NO_WAKEUP);
}

static __always_inline int exit_by(enum by by, struct bpf_raw_tracepoint_args* context) {
  __u64 now = bpf_ktime_get_ns();
  struct vcpu_state* state = watched_vcpu(by, (struct task_struct*)bpf_get_current_task_btf());
  if (state == NULL) return 0;
  /* KVM lets one thread at a time run a vCPU (vcpu->mutex): plain additions will do. */
  ++state->exits;
  state->answer_due = 1;
  tell(state, now, MOMENT_EXIT, (int)context->args[1]);
  return 0;
}

static __always_inline int enter_by(enum by by, __u64 now) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  struct kvm_vcpu* vcpu = running_vcpu(by, task);
  if (vcpu == NULL) return 0; /* another ioctl */
  struct vcpu_state* state = state_of(by, task, (__u64)vcpu);
  /* An INIT of the guest's makes KVM load the FPU again, within the same KVM_RUN. */
  if (state == NULL || !state->watched || state->answer_due == 0) return 0;
  state->answer_due = 0;
  tell(state, now, MOMENT_ANSWER, 0);
  return 0;
}

static __always_inline int fpu_by(enum by by, struct bpf_raw_tracepoint_args* context) {
  return context->args[0] == 0 ? 0 : enter_by(by, bpf_ktime_get_ns());
}

static __always_inline int sys_enter_by(enum by by, struct bpf_raw_tracepoint_args* context) {
  return context->args[1] != IOCTL_NUMBER ? 0 : enter_by(by, bpf_ktime_get_ns());
}

SEC("raw_tp/kvm_userspace_exit")
int on_exit(struct bpf_raw_tracepoint_args* context) { return exit_by(BY_HELPER, context); }
SEC("raw_tp/kvm_userspace_exit")
int on_exit_cast(struct bpf_raw_tracepoint_args* context) { return exit_by(BY_CAST, context); }

SEC("raw_tp/kvm_fpu")
int on_fpu(struct bpf_raw_tracepoint_args* context) { return fpu_by(BY_HELPER, context); }
SEC("raw_tp/kvm_fpu")
int on_fpu_cast(struct bpf_raw_tracepoint_args* context) { return fpu_by(BY_CAST, context); }

SEC("raw_tp/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args* context) {
  return sys_enter_by(BY_HELPER, context);
}
SEC("raw_tp/sys_enter")
int on_sys_enter_cast(struct bpf_raw_tracepoint_args* context) {
  return sys_enter_by(BY_CAST, context);
}

SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args* context) {
  if (!is_watched((struct task_struct*)bpf_get_current_task_btf())) return 0;
  struct task_struct* child = (struct task_struct*)context->args[1];
  __u32 tgid = BPF_CORE_READ(child, tgid);
  bpf_map_update_elem(&processes, &tgid, &tgid, BPF_ANY);
  return 0;
}

char license_text[] SEC("license") = "GPL"; /* bpf_probe_read_kernel asks for it */
