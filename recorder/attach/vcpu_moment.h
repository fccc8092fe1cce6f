// What the eBPF program of attach.bpf.c tells this process: one moment for each exit and each
// answer of a vCPU, in a BPF ring buffer, and a count for each vCPU in a map. Plain C: the program
// includes it too, compiled for another machine, so every member has a width and an explicit place.
#ifndef KVMTAPE_RECORDER_ATTACH_VCPU_MOMENT_H_
#define KVMTAPE_RECORDER_ATTACH_VCPU_MOMENT_H_

#include <linux/types.h>

#define KVMTAPE_CORE_BYTES 288        /* kCoreWords of schema/snapshot.h */
#define KVMTAPE_HEAD_BYTES 64         /* of those what the most frequent exits are made of */
#define KVMTAPE_SMALL_DATA_BYTES 32   /* port I/O but for string instructions */
#define KVMTAPE_LARGE_DATA_BYTES 4096 /* kDataBytesMax */
#define KVMTAPE_VCPUS_MAX 4096        /* KVM_MAX_VCPUS of x86 */
#define KVMTAPE_PLACES 16384          /* for those: most are found at the first look */
#define KVMTAPE_PROCESSES_MAX 1024

enum vcpu_moment_kind { MOMENT_EXIT = 1, MOMENT_ANSWER = 2 };

/* A vCPU: where its struct kvm_vcpu lies in the kernel, and what tells it from one that lay there
 * before. */
struct vcpu_key {
  __u64 address;
  __u64 run;     /* its kvm_run, in the kernel */
  __u32 process; /* tgid */
  __u32 id;      /* KVM's */
};

struct vcpu_moment {
  struct vcpu_key vcpu;
  __u64 time_ns;    /* CLOCK_MONOTONIC */
  __u64 exits;      /* of this vCPU so far, this one or the answered one included */
  __s32 ret;        /* of KVM_RUN: 0 or the negated errno */
  __u8 kind;        /* enum vcpu_moment_kind */
  __u8 whole_run;   /* KVMTAPE_CORE_BYTES of kvm_run follow; else KVMTAPE_HEAD_BYTES, and what lies
                     * behind those nobody looks at */
  __u16 data_bytes; /* of port I/O, behind kvm_run */
};

/* Of each vCPU. */
struct vcpu_state {
  struct vcpu_key key;
  __u64 pio_data;   /* where its port-I/O bytes are, in the kernel */
  __u64 exits;      /* seen; those for which the ring buffer had no room are counted with them */
  __u32 watched;    /* 0: of another process */
  __u16 answer_due; /* nothing has been told since the last exit */
  __u16 whole_due;  /* no bytes behind the head have been told yet, or some found no room */
};

/* What the program is told before it is loaded. */
struct watch_config {
  __u32 pid;          /* the process, as its number is in ... */
  __u32 pid_ns_inode; /* ... this PID namespace */
};

#endif
