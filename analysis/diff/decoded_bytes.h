// How much of an exit's kvm_run is read when it is decoded: what an earlier exit left behind that
// says nothing, and need be neither compared nor kept. Constant, any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/chunk_codec.h"

namespace kvmtape {

class DecodedBytes {
 public:
  explicit DecodedBytes(Architecture architecture);

  // Of either moment. What lies behind is not looked at, or there are the registers of the sync
  // area, of which diff makes nothing.
  std::span<const uint8_t> of_exit(const RecordedExit& exit) const {
    return cut(exit.kvm_run, bytes_of(exit.reason));
  }
  std::span<const uint8_t> of_answer(const RecordedExit& exit) const {
    return cut(exit.answer_kvm_run, has_same_reason(exit) ? bytes_of(exit.reason) : kAll);
  }

 private:
  static constexpr uint16_t kAll = kCoreWordsS390 * kWordBytes;

  static std::span<const uint8_t> cut(std::span<const uint8_t> kvm_run, size_t bytes) {
    return kvm_run.first(std::min(kvm_run.size(), bytes));
  }
  size_t bytes_of(uint32_t reason) const { return reason < bytes_.size() ? bytes_[reason] : kAll; }
  // The monitor may have left another one in its answer.
  static bool has_same_reason(const RecordedExit& exit);

  std::array<uint16_t, 64> bytes_;  // by exit reason
};

}  // namespace kvmtape
