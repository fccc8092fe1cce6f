// What one guest's run has come to: the stage that a guest plays on, and the verdict on it.
//
// The first refuse() or differ() decides and stops the guest: from then on every verb of Machine
// and Vcpu does nothing, so that a guest's script reads straight down, without a test after each
// line. All functions may be called from any of the guest's threads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "recorder/kvmtape.h"
#include "recorder/probe/probe.h"

namespace kvmtape {

// More returns of KVM_RUN than this and a guest of the battery is stopped.
inline constexpr uint64_t kGuestExitsMax = 512;

class Stage {
 public:
  Stage(int kvm_fd, kvmtape_session* session, bool poison, uint64_t exits_max = kGuestExitsMax,
        std::chrono::milliseconds time_max = kGuestTimeMax)
      : kvm_fd_(kvm_fd),
        session_(session),
        poison_(poison),
        exits_max_(exits_max),
        time_max_(time_max) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  int kvm_fd() const { return kvm_fd_; }
  kvmtape_session* session() const { return session_; }
  bool poison() const { return poison_; }
  // For who runs a vCPU on a thread of its own; the guest's first thread has its deadline.
  std::chrono::milliseconds time_max() const { return time_max_; }

  bool going() const { return !stopped_.load(std::memory_order_acquire); }
  void refuse(std::string why) { stop(GuestOutcome::kRefused, std::move(why)); }
  void differ(std::string why) { stop(GuestOutcome::kDiffers, std::move(why)); }
  // Something that must hold once the exits have come as expected: the guest saw our answer, say.
  void check(bool holds, const std::string& otherwise);
  // A finding worth telling although all went as expected.
  void remark(std::string finding);

  // Counts a return of KVM_RUN; false, and the guest is stopped, when there have been too many.
  bool count_exit();

  GuestOutcome outcome() const;
  std::string detail() const;
  uint64_t exits() const { return exits_.load(std::memory_order_relaxed); }

 private:
  void stop(GuestOutcome outcome, std::string why);

  // Immutable.
  const int kvm_fd_;
  kvmtape_session* const session_;
  const bool poison_;
  const uint64_t exits_max_;
  const std::chrono::milliseconds time_max_;
  // Any thread of the guest.
  std::atomic<bool> stopped_ = false;
  std::atomic<uint64_t> exits_ = 0;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  GuestOutcome outcome_ = GuestOutcome::kAsExpected;
  std::string detail_;
};

}  // namespace kvmtape
