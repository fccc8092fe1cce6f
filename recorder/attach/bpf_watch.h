// Attach by eBPF: attach.bpf.c runs in the kernel at the tracepoints of the watched process's
// KVM_RUN and leaves moments in a BPF ring buffer; this object takes them out into the session's
// rings. The monitor is not touched: it may be static, in a sandbox, of any language. Needs root or
// CAP_BPF and CAP_PERFMON, and a kernel with BTF (/sys/kernel/btf/vmlinux), Linux 5.15 or newer.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "recorder/attach/vcpu_moment.h"
#include "recorder/attach/watch.h"
#include "schema/base/unique_fd.h"

struct attach_bpf;
struct bpf_program;
struct ring_buffer;

namespace kvmtape {

// Where the answer is seen: kvm_fpu fires once a KVM_RUN and is x86's; sys_enter, which fires for
// every system call of the host, is for where nothing else serves.
enum class AnswerPoint { kBest, kSysEnter };

// How the programs read the kernel's memory: by plain loads where the kernel lets them (6.2), else
// by calls.
enum class KernelReads { kBest, kByHelper };

inline constexpr uint32_t kBpfRingBytes = 16 << 20;  // 40,000 moments or more, a power of two

class BpfWatch final : public Watch {
 public:
  // kRefused with the kernel's reason and what to do, where eBPF may not or cannot be used. Stamps
  // CLOCK_MONOTONIC: the session was opened with read_monotonic_clocks.
  static Result<std::unique_ptr<BpfWatch>> load(uint32_t pid,
                                                AnswerPoint answers = AnswerPoint::kBest,
                                                uint32_t ring_bytes = kBpfRingBytes,
                                                KernelReads reads = KernelReads::kBest);
  ~BpfWatch() override;

  Result<void> record_into(kvmtape_session& session) override;
  bool step() override;
  // What has happened so far, without waiting.
  void take_new();
  void finish() override;
  uint64_t unidentified() const override;
  uint64_t unfollowed() const override;
  // Exits that the kernel's side counted: an independent count.
  uint64_t exits_seen() const;
  // How often the kernel ran the programs, and for how long; 0 unless it was asked to count
  // (BPF_ENABLE_STATS). One of its two readings of a clock lies within the time of each run.
  struct ProgramTime {
    uint64_t runs = 0;
    uint64_t ns = 0;
  };
  ProgramTime program_time() const;

 private:
  struct Vcpu {
    std::vector<uint64_t> run;  // as kvm_run was, and the port-I/O bytes where it says they are
    kvmtape_vcpu* tape = nullptr;
    uint64_t exits = 0;  // taken or counted as lost
  };
  using Key = std::tuple<uint64_t, uint64_t, uint32_t, uint32_t>;

  BpfWatch() = default;
  std::array<bpf_program*, 6> programs() const;
  static int take_moment(void* watch, void* moment, size_t bytes);
  void take(const vcpu_moment& moment);
  Vcpu* find(const vcpu_key& key);
  template <typename Visit>
  void for_each_state(Visit visit) const;

  struct Free {
    void operator()(attach_bpf* program) const;
    void operator()(ring_buffer* moments) const;
  };
  std::unique_ptr<attach_bpf, Free> program_;
  std::unique_ptr<ring_buffer, Free> moments_;
  UniqueFd process_;
  kvmtape_session* session_ = nullptr;
  size_t run_bytes_ = 0;
  std::map<Key, Vcpu> vcpus_;
};

}  // namespace kvmtape
