// Capture: on the vCPU's thread, between one KVM_RUN and the next. Compares kvm_run with the shadow
// of the moment before, leaves the changed words in the ring, publishes. No heap, lock, system call
// or exception; the one exception to the second-last is a register policy that the embedder chose.
//
// An exit is admitted to the ring together with room for its answer, so that an exit that is kept
// has its answer too. One thread at a time; the session attaches and outlives it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "recorder/capture/changed_words.h"
#include "recorder/capture/registers.h"
#include "recorder/ring/capture_filter.h"
#include "recorder/ring/ring_writer.h"

namespace kvmtape {

// When registers are taken (kvmtape.h, enum kvmtape_registers).
enum class RegisterPolicy : uint8_t { kDebugExits = 0, kNever = 1, kEvery = 2, kSync = 3 };

struct CaptureOptions {
  RegisterPolicy registers = RegisterPolicy::kDebugExits;
  uint32_t registers_every = 1;
  bool allow_ioctls = false;
  CaptureFilter filter = {};
};

class VcpuCapture final : private RegisterSink {
 public:
  // `ring` null: no memory for one; exits are only counted. `run` and `run_bytes` as kvmtape.h
  // says.
  VcpuCapture(RingHeader* ring, void* run, size_t run_bytes, int vcpu_fd,
              const CaptureOptions& options) noexcept;
  VcpuCapture(const VcpuCapture&) = delete;

  void exit(int ret, int error_number) noexcept;
  void enter() noexcept;

  // The same for who watches a vCPU from outside and is told later: `run` is then a copy of kvm_run
  // as it was, and the time is when that was, by the session's clock.
  void exit_at(uint64_t time, int ret, int error_number) noexcept;
  void enter_at(uint64_t time) noexcept;
  // `count` exits were lost before they came here.
  void lost_before_ring(uint64_t time, uint64_t count) noexcept;

  // Any thread: KVM_SET_GUEST_DEBUG was called, the next exit takes the debug registers.
  void guest_debug_changed() noexcept {
    guest_debug_changed_.store(true,
                               std::memory_order_relaxed);  // relaxed: a hint, no data with it
  }
  // Any thread: a filter now kills for vCPU ioctls; registers are noted as not taken.
  void forbid_ioctls() noexcept {
    ioctls_forbidden_.store(true, std::memory_order_relaxed);  // relaxed: set before the filter is
  }
  // vCPU thread, or who stands in for it. From now on registers are taken by these ioctls, which
  // outlive the capture; nullptr: not taken.
  void take_registers_with(VcpuIoctls* ioctls) noexcept {
    others_ioctls_ = ioctls;
    options_.allow_ioctls = ioctls != nullptr;
  }
  // The vCPU will not run again; call on its thread or after it has ended.
  void finish(RingEnd end = RingEnd::kUnmapped) noexcept;

  // Any thread. Exits counted while there was no ring.
  uint64_t lost_without_ring() const noexcept {
    return lost_without_ring_.load(std::memory_order_relaxed);  // relaxed: statistics
  }
  bool has_ring() const noexcept { return ring_.bound(); }
  // vCPU thread. Crash exits whose registers have been asked for.
  uint32_t crashes() const noexcept { return crashes_; }

 private:
  struct Moment {
    uint64_t core_mask;
    std::array<uint64_t, kSyncMasks> sync_masks;
    bool has_sync;
    uint32_t data_bytes;
    const uint8_t* data;
  };

  // Compares core (and sync area when in use) with the shadow, which then holds this moment.
  void compare(Moment& moment) noexcept;
  void compare_sync(Moment& moment) noexcept;
  // Makes a keyframe of a moment that begins a block.
  void complete(Moment& moment) noexcept;
  // Writes and publishes the record at `out`.
  void write(uint64_t* out, RecordKind kind, uint8_t flags, int32_t ret, uint64_t tsc,
             const Moment& moment) noexcept;
  uint32_t port_data_bytes() const noexcept;
  void record_answer(uint64_t tsc) noexcept;
  // False: the filter leaves it out, and the next exit that is kept must not follow it in time.
  bool passes_filter() noexcept;
  void leave_out() noexcept;
  // The ring holds no part of the exit at hand, nor of its answer.
  void pass_over_exit() noexcept;
  void note_left_out(uint64_t tsc) noexcept;
  // Of a flight recording that is stopped.
  void drop_stopped(uint64_t tsc) noexcept;
  void leave_unanswered() noexcept;
  // A run of equal exits, in a ring that coalesces (repeats.cc).
  bool repeat_exit(const Moment& moment, uint64_t tsc) noexcept;
  bool repeat_answer(const Moment& moment, uint64_t tsc) noexcept;
  bool is_unchanged(const Moment& moment) const noexcept {
    return moment.core_mask == 0 && !moment.has_sync;
  }
  void ask_for_sync_registers() noexcept;
  void take_registers(uint64_t time, uint32_t reason, int32_t ret) noexcept;
  void take_registers_by(bool crash) noexcept;
  void put(RegisterSet set, RegisterStatus status, uint32_t error, const void* bytes,
           uint32_t byte_count) noexcept override;

  // Immutable after construction.
  const uint64_t* run_;
  ChangedWordsFunction changed_words_;
  uint32_t run_bytes_;
  bool has_sync_area_;  // the mapping is large enough for one
  CaptureOptions options_;
  int vcpu_fd_;

  // vCPU thread.
  RingWriter ring_;
  uint64_t exit_data_word_ =
      0;  // first 8 data bytes of the exit, to see if the answer changed them
  uint32_t exit_data_bytes_ = 0;
  uint32_t moment_words_max_;    // reserved for each moment, its data bytes apart
  bool exit_open_ = false;       // an exit has been published and waits for its answer
  bool exit_dropped_ = false;    // the last exit was dropped; its answer is not recorded
  bool keyframe_due_ = true;     // the shadow is not what was published last
  bool sync_key_due_ = true;     // no sync area has been published in this block
  bool registers_due_possible_;  // the policy may ask at an ordinary exit
  uint32_t registers_countdown_;
  uint32_t crashes_ = 0;
  VcpuIoctls* others_ioctls_ = nullptr;  // nullptr: the thread's own
  uint64_t saved_valid_regs_ = 0;
  bool valid_regs_changed_ = false;
  uint64_t record_tsc_ = 0;
  bool unusual_ = false;            // no ring, one that may be stopped, or a filter
  bool filtering_ = false;          // options_.filter leaves something out
  bool left_out_ = false;           // the exits since the last record were
  bool coalesce_ = false;           // nothing of the following is used without
  bool exit_may_repeat_ = false;    // the last exit was answered with what it brought, nothing else
  uint64_t* repeat_ = nullptr;      // the record of the run under way, the last in its block
  bool repeat_unanswered_ = false;  // the run's last exit waits for its answer
  uint64_t repeat_tsc_ = 0;         // when that was
  alignas(64) std::array<uint64_t, kRunWordsMax> shadow_{};

  // Any thread.
  std::atomic<bool> guest_debug_changed_{false};
  std::atomic<bool> ioctls_forbidden_{false};
  std::atomic<uint64_t> lost_without_ring_{0};
};

}  // namespace kvmtape
