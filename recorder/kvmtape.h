/* kvmtape: record the exits of a KVM virtual machine from inside its monitor.
 *
 * A session writes one trace. Each vCPU gets a ring in shared memory; the vCPU's thread leaves raw
 * bytes there (two calls around KVM_RUN, no system call, no allocation, no lock), a background
 * thread compresses them into the trace. If the monitor dies, the rings stay behind and every read
 * verb of kvmtape takes trace and rings together.
 *
 *     kvmtape_options options;
 *     kvmtape_options_init(&options);
 *     options.path = "vm.kvmtape";
 *     options.kvm_fd = kvm_fd; options.vm_fd = vm_fd;
 *     kvmtape_error error;
 *     kvmtape_session *session = kvmtape_open(&options, &error);
 *     kvmtape_vcpu *tape = kvmtape_attach_vcpu(session, id, vcpu_fd, run, run_bytes, &error);
 *     for (;;) {
 *         kvmtape_enter(tape);                       // whatever the monitor answered is in place
 *         int ret = ioctl(vcpu_fd, KVM_RUN, 0);
 *         kvmtape_exit(tape, ret, ret < 0 ? errno : 0);
 *         ... handle run->exit_reason ...
 *     }
 *     kvmtape_totals totals;
 *     if (kvmtape_close(session, &totals, &error) != 0) fprintf(stderr, "%s\n", error.text);
 *
 * Rules
 *  - Every function takes NULL for session or vcpu and then does nothing, so that a monitor may go
 *    on when recording could not start. Nothing here ever stops the guest: what cannot be recorded
 *    is counted and stands in the trace as a gap.
 *  - kvmtape_exit and kvmtape_enter of one vCPU are called by one thread at a time (the one that
 *    calls KVM_RUN). Different vCPUs need no coordination. They keep errno.
 *  - Set-up (open, attach) does all its system calls before it returns; do it before installing
 *    seccomp filters. The two hot calls make none, unless options.registers asks for ioctls.
 *  - All other calls may come from any thread; they take a lock and may block.
 *  - After fork, the child must not use the session.
 */
#ifndef KVMTAPE_RECORDER_KVMTAPE_H_
#define KVMTAPE_RECORDER_KVMTAPE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define KVMTAPE_NOEXCEPT noexcept
#else
#define KVMTAPE_NOEXCEPT
#endif

typedef struct kvmtape_session kvmtape_session;
typedef struct kvmtape_vcpu kvmtape_vcpu;

typedef struct kvmtape_error {
  int code;       /* an errno, or 0 */
  char text[512]; /* what, where, why, what to do next; always ends with NUL */
} kvmtape_error;

enum kvmtape_ring_full {
  KVMTAPE_DROP = 0,     /* the newest exits are lost when the drain falls behind */
  KVMTAPE_OVERWRITE = 1 /* the oldest are */
};

/* Which register sets are taken with an exit, because each costs a vCPU ioctl (about 0.2 us on bare
 * metal, 7 us nested). What the kernel refuses is recorded as refused. */
enum kvmtape_registers {
  KVMTAPE_REGISTERS_DEBUG_EXITS =
      0, /* at KVM_EXIT_DEBUG, after KVM_SET_GUEST_DEBUG, at crash exits */
  KVMTAPE_REGISTERS_NEVER = 1,
  KVMTAPE_REGISTERS_EVERY = 2, /* every registers_every-th exit */
  KVMTAPE_REGISTERS_SYNC = 3   /* x86: through kvm_valid_regs, without an ioctl */
};

/* Guest-physical addresses of MMIO, or ports of port I/O; both ends belong to it. */
typedef struct kvmtape_range {
  uint64_t first;
  uint64_t last;
} kvmtape_range;

typedef struct kvmtape_options {
  size_t struct_bytes;        /* set by kvmtape_options_init; newer fields are added at the end */
  const char* path;           /* trace to write; NULL: a new file in the default directory */
  int force;                  /* overwrite an existing file */
  const char* ring_directory; /* in it SESSION-UUID/ is made; NULL: /dev/shm/kvmtape-UID */
  size_t ring_bytes;       /* per vCPU; default 1 MiB; 64 KiB to 1 GiB, rounded to whole blocks */
  size_t ring_bytes_total; /* cap over all rings of the session; default 256 MiB */
  enum kvmtape_ring_full ring_full;
  enum kvmtape_registers registers;
  unsigned registers_every;
  int allow_vcpu_ioctls;      /* 0: no vCPU ioctl is ever made: a seccomp filter may kill for it */
  unsigned drain_interval_us; /* how long the drain sleeps at most; default 1000 */
  int kvm_fd;                 /* /dev/kvm, to ask capabilities; -1: opened if possible */
  int vm_fd;                  /* the VM, to ask them of; -1: not known */
  const char* monitor_name;   /* NULL: from /proc/self/comm */
  const char* recorder;       /* which recorder this is, "embed" if NULL; shown by `info` */
  /* Flight recorder: not 0: each vCPU's last exits stay in a ring of so many bytes (less where
   * there is no room), nothing is written until a trigger or kvmtape_snapshot. ring_bytes and
   * ring_full are then not used. */
  size_t flight_bytes;
  /* Rules separated by commas: crash, same=N/T, slow=T, silent=T, end (T as in 500us, 10ms, 2s).
   * NULL: "crash,end". The first snapshot is `path`, the next ones vm.2.kvmtape and so on. */
  const char* triggers;
  /* A file that is so large, or so old, is put aside as vm.1.kvmtape, vm.2.kvmtape and so on, and
   * the next begins; each stands alone. 0: no bound. Not of a flight recorder. */
  uint64_t max_file_bytes; /* at least 256 KiB */
  unsigned max_file_seconds;
  /* How many files are kept, the newest; of a flight recorder how many snapshots, the first and
   * the newest. 0: all. Default 16. */
  unsigned max_files;
  /* Only these exits are recorded; the others have no number, and the header says so. */
  uint64_t exit_reasons;          /* one bit for each KVM_EXIT_..., the last for 63 and all above */
  const kvmtape_range* addresses; /* NULL: any exit; else MMIO and port I/O in one of these */
  size_t address_count;           /* at most 16 */
  /* Not 0: `kvmtape ctl` may steer the session through a socket beside the trace. The drain's
   * thread then accepts connections, which a seccomp filter of the process must allow. */
  int control;
} kvmtape_options;

/* Sets the first `struct_bytes` bytes to their defaults: what the caller was compiled with, which
 * may be older than the library. */
void kvmtape_options_init_sized(kvmtape_options* options, size_t struct_bytes) KVMTAPE_NOEXCEPT;
static inline void kvmtape_options_init(kvmtape_options* options) KVMTAPE_NOEXCEPT {
  kvmtape_options_init_sized(options, sizeof *options);
}

/* Creates trace and ring directory, starts the drain thread. NULL and *error on failure. */
kvmtape_session* kvmtape_open(const kvmtape_options* options,
                              kvmtape_error* error) KVMTAPE_NOEXCEPT;

/* `run` is the mapping of vcpu_fd at offset 0, `run_bytes` its size (KVM_GET_VCPU_MMAP_SIZE); it
 * must outlive the vCPU's last call. `id` is KVM's. Where there is no memory for a ring the vCPU is
 * returned all the same, its exits are counted as lost, and *error says why. NULL only if the
 * arguments are unusable or memory is exhausted. Owned by the session. */
kvmtape_vcpu* kvmtape_attach_vcpu(kvmtape_session* session, unsigned id, int vcpu_fd, void* run,
                                  size_t run_bytes, kvmtape_error* error) KVMTAPE_NOEXCEPT;

/* KVM_RUN returned `ret` and, if that is negative, set `error_number`. Call it first thing. */
void kvmtape_exit(kvmtape_vcpu* vcpu, int ret, int error_number) KVMTAPE_NOEXCEPT;

/* KVM_RUN is about to be called: what the monitor answered is in kvm_run. Call it last thing. */
void kvmtape_enter(kvmtape_vcpu* vcpu) KVMTAPE_NOEXCEPT;

/* Which descriptor a control call was made on; values as in the trace format. */
enum kvmtape_descriptor {
  KVMTAPE_SYSTEM = 1,
  KVMTAPE_VM = 2,
  KVMTAPE_VCPU = 3,
  KVMTAPE_DEVICE = 4
};

/* Notes an ioctl that the monitor made beside KVM_RUN: its payload before (`in`) and after (`out`),
 * result and errno. `vcpu` may be NULL. KVM_SET_GUEST_DEBUG noted here makes the next exit take the
 * debug registers under the default policy. Returns 0, or -1 if the session's ring had no room. */
int kvmtape_control_call(kvmtape_session* session, enum kvmtape_descriptor descriptor,
                         const kvmtape_vcpu* vcpu, unsigned long request, uint64_t argument,
                         const void* in, size_t in_bytes, const void* out, size_t out_bytes,
                         int result, int error_number) KVMTAPE_NOEXCEPT;

/* Puts `text` into the trace at this time. Returns 0, or -1 if there was no room. */
int kvmtape_mark(kvmtape_session* session, const char* text) KVMTAPE_NOEXCEPT;

/* Writes everything that has been published so far to the trace and to the disk (fsync), and notes
 * `reason`. A flight recorder writes what its rings hold into a trace of its own, whose header says
 * `reason`. Blocks until done. Returns 0, or -1 and *error. */
int kvmtape_snapshot(kvmtape_session* session, const char* reason,
                     kvmtape_error* error) KVMTAPE_NOEXCEPT;

typedef struct kvmtape_totals {
  uint64_t exits; /* recorded, published or written */
  uint64_t lost;  /* produced and not kept: so far, while the recording is stopped too */
  uint64_t bytes; /* written to the trace */
  uint64_t vcpus;
  uint64_t write_errors; /* times the trace could not be written; recording goes on */
} kvmtape_totals;
void kvmtape_get_totals(kvmtape_session* session, kvmtape_totals* totals) KVMTAPE_NOEXCEPT;

/* The path of the trace; valid until close. */
const char* kvmtape_path(const kvmtape_session* session) KVMTAPE_NOEXCEPT;

/* Flushes, seals the trace, removes the rings, ends the drain thread and frees session and vCPUs;
 * no vCPU call may be under way. Fills *totals (may be NULL). Returns 0; -1 and *error if not
 * everything could be written: the rings then stay, and the trace is readable together with them.
 */
int kvmtape_close(kvmtape_session* session, kvmtape_totals* totals,
                  kvmtape_error* error) KVMTAPE_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* KVMTAPE_RECORDER_KVMTAPE_H_ */
