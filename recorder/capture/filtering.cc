// Exits that the session was told to leave out, for good or for a while.
#include "recorder/capture/vcpu_capture.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {

bool VcpuCapture::passes_filter() noexcept {
  const CaptureFilter& filter = options_.filter;
  const auto reason = static_cast<uint32_t>(shadow_[1]);
  if (!filter.has_reason(reason)) return false;
  if (filter.address_count == 0) return true;
  // io is {u8 direction, u8 size, u16 port, ...}; mmio begins with the address.
  if (reason == kExitIo) return filter.has_address(shadow_[4] >> 16 & 0xffff);
  return reason == kExitMmio && filter.has_address(shadow_[4]);
}

void VcpuCapture::pass_over_exit() noexcept {
  exit_open_ = exit_may_repeat_ = false;
  repeat_ = nullptr;
  exit_dropped_ = true;
  keyframe_due_ = sync_key_due_ = true;  // the shadow has moved on, the ring has not
}

void VcpuCapture::leave_out() noexcept {
  left_out_ = true;
  pass_over_exit();
}

// A gap of no exits: it tells that the time until the next exit is not that of one KVM_RUN.
void VcpuCapture::note_left_out(uint64_t tsc) noexcept {
  ring_.set_clock_for_gaps(tsc);
  uint64_t* out = ring_.reserve(kGapRecordWords);
  if (out == nullptr) return;  // the gap that follows says the same
  const bool fresh = ring_.fresh_block();
  store_ring_number(out++, record_word(RecordKind::kGap, 0, kGapRecordWords, 0));
  store_ring_number(out++, tsc);
  store_ring_number(out++, ring_.next_seq());
  store_ring_number(out++, 0);
  store_ring_number(out++, ring_.lost_total());
  store_ring_number(out++, static_cast<uint64_t>(GapReason::kFiltered));
  ring_.commit(kGapRecordWords);
  if (fresh) keyframe_due_ = sync_key_due_ = true;
  left_out_ = false;
}

void VcpuCapture::drop_stopped(uint64_t tsc) noexcept {
  ring_.set_clock_for_gaps(tsc);
  ring_.drop(GapReason::kStopped);
  pass_over_exit();
}

// The answer that comes while it is stopped, to an exit that came before, is not kept either: the
// ring holds that exit without one.
void VcpuCapture::leave_unanswered() noexcept {
  exit_open_ = exit_may_repeat_ = repeat_unanswered_ = false;
  repeat_ = nullptr;
  exit_dropped_ = true;
}

}  // namespace kvmtape
