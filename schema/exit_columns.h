// The columns of an Exits chunk that have one number for each exit, or for each answer, as the
// encoder fills them. There is room for a whole chunk from the first exit on, so that a number
// costs one store; nothing checks for it: the encoder ends a chunk at kChunkExitsMax. Internal to
// the chunk encoder, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "schema/trace_format.h"

namespace kvmtape {

// What is known of an exit when it comes, of ColumnId's columns.
struct ExitNumbers {
  uint32_t reason, flags, ready, ret, ticks, mask;
};

class ExitColumns {
 public:
  size_t size() const { return exits_; }
  void clear() { exits_ = answers_ = 0; }

  void add_exit(const ExitNumbers& exit) {
    if (!numbers_) [[unlikely]]  // pages that no exit reaches are never touched
      numbers_ = std::make_unique_for_overwrite<uint32_t[]>(kColumns * kStride);
    uint32_t* const row = numbers_.get() + exits_++;
    row[kReason * kStride] = exit.reason;
    row[kFlags * kStride] = exit.flags;
    row[kReady * kStride] = exit.ready;
    row[kRet * kStride] = exit.ret;
    row[kGuestTicks * kStride] = exit.ticks;
    row[kExitMask * kStride] = exit.mask;
    row[kAnswerMask * kStride] = 0;
  }
  // Of the last exit. `mask` counts from 1.
  void add_answer(uint32_t ticks, uint32_t mask) {
    numbers_[kMonitorTicks * kStride + answers_++] = ticks;
    numbers_[kAnswerMask * kStride + exits_ - 1] = mask;
  }

  std::span<const uint32_t> reasons() const { return column(kReason, exits_); }
  std::span<const uint32_t> flags() const { return column(kFlags, exits_); }
  std::span<const uint32_t> ready() const { return column(kReady, exits_); }
  std::span<const uint32_t> rets() const { return column(kRet, exits_); }
  std::span<const uint32_t> guest_ticks() const { return column(kGuestTicks, exits_); }
  std::span<const uint32_t> monitor_ticks() const { return column(kMonitorTicks, answers_); }
  std::span<const uint32_t> exit_masks() const { return column(kExitMask, exits_); }
  std::span<const uint32_t> answer_masks() const { return column(kAnswerMask, exits_); }

 private:
  enum Column : size_t {
    kReason,
    kFlags,
    kReady,
    kRet,
    kGuestTicks,
    kMonitorTicks,
    kExitMask,
    kAnswerMask,
    kColumns
  };
  // Columns at a distance of a power of two would share the few lines of one set of the cache.
  static constexpr size_t kStride = kChunkExitsMax + 48;

  std::span<const uint32_t> column(Column which, size_t count) const {
    if (count == 0) return {};  // of marks or gaps alone there are no numbers at all
    return {numbers_.get() + which * kStride, count};
  }

  std::unique_ptr<uint32_t[]> numbers_;
  size_t exits_ = 0, answers_ = 0;
};

}  // namespace kvmtape
