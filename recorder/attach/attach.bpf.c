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
#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

#include "recorder/attach/kernel_types.bpf.h"
#include "recorder/attach/vcpu_moment.h"

#define PLACES_TRIED 16
#define PID_LEVELS_MAX 32 /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */

#define EXIT_REASON_AT offsetof(struct kvm_run, exit_reason)
#define UNION_AT offsetof(struct kvm_run, io) /* u8 direction, u8 size, u16 port, u32 count */
_Static_assert(offsetof(struct kvm_run, io.data_offset) + 8 <= KVMTAPE_HEAD_BYTES, "all of io");
_Static_assert(offsetof(struct kvm_run, mmio.is_write) + 1 <= KVMTAPE_HEAD_BYTES, "all of mmio");

const volatile struct watch_config config = {};
__u64 unidentified = 0; /* exits whose vCPU could not be told */
__u32 unfollowed = 0;   /* processes of the monitor's for which there was no place */
__u32 root_known = 0;   /* whose number was asked for, which may be another one's by now */

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 24); /* set anew before loading */
} moments SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY); /* hashed by hand: a look into an array is no call */
  __uint(max_entries, KVMTAPE_PLACES);
  __type(key, __u32);
  __type(value, struct vcpu_state);
} vcpus SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH); /* which of those places, and by which address */
  __uint(max_entries, KVMTAPE_VCPUS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} taken SEC(".maps");
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
  if (root_known || !is_watched_by_number(task)) return false;
  bpf_map_update_elem(&processes, &tgid, &tgid, BPF_ANY);
  root_known = 1;
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

/* Where the vCPU of this address is, or is to be if it is one that is watched; else NULL, also
 * where there are too many near it. Two threads may ask at once, also for the same one: sys_enter
 * comes before KVM takes vcpu->mutex. */
static __always_inline struct vcpu_state* place_of(struct task_struct* task, __u64 address) {
  __u32 place = address * 0x9e3779b97f4a7c15 >> 32;
  for (int i = 0; i < PLACES_TRIED; ++i, ++place) {
    __u32 index = place % KVMTAPE_PLACES;
    struct vcpu_state* state = bpf_map_lookup_elem(&vcpus, &index);
    if (state == NULL || state->key.address == address) return state;
    if (state->key.address != 0) continue;
    if (!is_watched(task)) return NULL;
    if (bpf_map_update_elem(&taken, &index, &address, BPF_NOEXIST) == 0) return state;
    __u64* by_other = bpf_map_lookup_elem(&taken, &index);
    if (by_other != NULL && *by_other == address) return state;
  }
  return NULL;
}

/* What is known of it; asked for anew where another vCPU lay before. */
static __always_inline struct vcpu_state* state_of(enum by by, struct task_struct* task,
                                                   __u64 address) {
  void* vcpu = (void*)address;
  __u64 run = load(by, vcpu + bpf_core_field_offset(struct kvm_vcpu, run));
  __u32 id = load(by, vcpu + bpf_core_field_offset(struct kvm_vcpu, vcpu_id));
  __u64 pio_data = 0;
  if (bpf_core_field_exists(struct kvm_vcpu, arch.pio_data))
    pio_data = load(by, vcpu + bpf_core_field_offset(struct kvm_vcpu, arch.pio_data));
  struct vcpu_state* state = place_of(task, address);
  if (state == NULL || (state->key.run == run && state->key.process == (__u32)task->tgid &&
                        state->key.id == id && state->pio_data == pio_data))
    return state;
  state->watched = 0; /* who looks from outside waits for the rest */
  barrier();
  state->key.address = address;
  state->key.run = run;
  state->key.process = task->tgid;
  state->key.id = id;
  state->pio_data = pio_data;
  state->exits = 0;
  state->answer_due = 1; /* its first KVM_RUN: an answer to no exit */
  state->whole_due = 1;
  __u32 watched = is_watched(task);
  barrier();
  state->watched = watched;
  return state;
}

/* Of this thread's vCPU; NULL if it is none of ours. */
static __always_inline struct vcpu_state* watched_vcpu(enum by by, struct task_struct* task) {
  struct kvm_vcpu* vcpu = running_vcpu(by, task);
  if (vcpu == NULL) {
    if (is_watched(task)) __sync_fetch_and_add(&unidentified, 1);
    return NULL;
  }
  struct vcpu_state* state = state_of(by, task, (__u64)vcpu);
  if (state == NULL && is_watched(task)) __sync_fetch_and_add(&unidentified, 1);
  return state == NULL || !state->watched ? NULL : state;
}

/* Bytes of port I/O that belong to what kvm_run says. */
static __always_inline __u32 port_bytes(const struct vcpu_state* state, __u8 kind, __u64 io) {
  if (state->pio_data == 0) return 0;
  /* KVM looks at them no more, and who reads has them from the exit. */
  if (kind == MOMENT_ANSWER && (io & 0xff) == KVM_EXIT_IO_OUT) return 0;
  __u64 bytes = (io >> 8 & 0xff) * (io >> 32);
  return bytes > KVMTAPE_LARGE_DATA_BYTES ? 0 : (__u32)bytes;
}

/* Returns how many of them there are now. */
static __always_inline __u32 small_data(void* to, const struct vcpu_state* state, __u32 bytes) {
  if (bytes == 0) return 0;
  barrier_var(bytes); /* the compiler is not to know what the verifier has yet to see */
  bytes &= KVMTAPE_SMALL_DATA_BYTES - 1;
  return bpf_probe_read_kernel(to, bytes, (void*)state->pio_data) == 0 ? bytes : 0;
}

/* Nothing of theirs lies behind the head, neither KVM's nor the monitor's. */
static __always_inline bool is_head_only(__u32 reason) {
  return reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO || reason == KVM_EXIT_HLT ||
         reason == KVM_EXIT_IRQ_WINDOW_OPEN;
}

/* Without room in the ring buffer it is left out; `exits` of the next tells. */
static __always_inline void tell(enum by by, struct vcpu_state* state, __u64 now, __u8 kind,
                                 int ret) {
  void* run = (void*)state->key.run;
  __u32 reason = (__u32)load(by, run + EXIT_REASON_AT);
  __u64 io = reason == KVM_EXIT_IO ? load(by, run + UNION_AT) : 0;
  __u32 bytes = reason == KVM_EXIT_IO && ret >= 0 ? port_bytes(state, kind, io) : 0;
  struct vcpu_moment* moment;
  __u8 whole_run = !is_head_only(reason) || ret < 0 || state->whole_due;
  if (bytes >= KVMTAPE_SMALL_DATA_BYTES) {
    whole_run = 1;
    moment = bpf_ringbuf_reserve(&moments,
                                 sizeof *moment + KVMTAPE_CORE_BYTES + KVMTAPE_LARGE_DATA_BYTES, 0);
    if (moment == NULL) goto no_room;
    barrier_var(bytes); /* the compiler is not to know what the verifier has yet to see */
    if (bytes > KVMTAPE_LARGE_DATA_BYTES ||
        bpf_probe_read_kernel((void*)(moment + 1) + KVMTAPE_CORE_BYTES, bytes,
                              (void*)state->pio_data) != 0)
      bytes = 0;
    bpf_probe_read_kernel(moment + 1, KVMTAPE_CORE_BYTES, run);
  } else if (whole_run) {
    moment = bpf_ringbuf_reserve(&moments,
                                 sizeof *moment + KVMTAPE_CORE_BYTES + KVMTAPE_SMALL_DATA_BYTES, 0);
    if (moment == NULL) goto no_room;
    bytes = small_data((void*)(moment + 1) + KVMTAPE_CORE_BYTES, state, bytes);
    bpf_probe_read_kernel(moment + 1, KVMTAPE_CORE_BYTES, run);
  } else {
    moment = bpf_ringbuf_reserve(&moments,
                                 sizeof *moment + KVMTAPE_HEAD_BYTES + KVMTAPE_SMALL_DATA_BYTES, 0);
    if (moment == NULL) goto no_room;
    bytes = small_data((void*)(moment + 1) + KVMTAPE_HEAD_BYTES, state, bytes);
    bpf_probe_read_kernel(moment + 1, KVMTAPE_HEAD_BYTES, run);
  }
  /* By which it was decided, whatever another thread of the monitor has put there since. */
  *(__u32*)((void*)(moment + 1) + EXIT_REASON_AT) = reason;
  if (reason == KVM_EXIT_IO) *(__u64*)((void*)(moment + 1) + UNION_AT) = io;
  moment->vcpu = state->key;
  moment->time_ns = now;
  moment->exits = state->exits;
  moment->ret = ret;
  moment->kind = kind;
  moment->whole_run = whole_run;
  moment->data_bytes = bytes;
  /* The reader comes by itself every few milliseconds; waking it is dearer than all of the above.
   */
  bpf_ringbuf_submit(moment, BPF_RB_NO_WAKEUP);
  state->whole_due = 0;
  return;
no_room:
  state->whole_due = 1;
}

static __always_inline int exit_by(enum by by, struct bpf_raw_tracepoint_args* context) {
  __u64 now = bpf_ktime_get_ns();
  struct vcpu_state* state = watched_vcpu(by, (struct task_struct*)bpf_get_current_task_btf());
  if (state == NULL) return 0;
  /* KVM lets one thread at a time run a vCPU (vcpu->mutex): plain additions will do. */
  ++state->exits;
  state->answer_due = 1;
  tell(by, state, now, MOMENT_EXIT, (int)context->args[1]);
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
  tell(by, state, now, MOMENT_ANSWER, 0);
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
  if (bpf_map_update_elem(&processes, &tgid, &tgid, BPF_ANY) != 0)
    __sync_fetch_and_add(&unfollowed, 1);
  return 0;
}

/* Its number is soon another's. kernel/exit.c, do_exit(), all versions that have BTF: the thread
 * has been taken from signal->live before the tracepoint. */
SEC("raw_tp/sched_process_exit")
int on_process_exit(void* context) {
  (void)context;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  if (task->signal->live.counter != 0) return 0;
  __u32 tgid = task->tgid;
  if (!root_known && is_watched_by_number(task)) root_known = 1;
  bpf_map_delete_elem(&processes, &tgid);
  return 0;
}

char license_text[] SEC("license") = "GPL"; /* bpf_probe_read_kernel asks for it */
