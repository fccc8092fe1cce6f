// A recorded exit that outlives the cursor that gave it: a copy with bytes of its own, whose memory
// is used again by the next one. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_codec.h"

namespace kvmtape {

class OwnedExit {
 public:
  OwnedExit() = default;
  OwnedExit(const OwnedExit& from) { assign(from.exit_); }
  OwnedExit& operator=(const OwnedExit& from) {
    if (this != &from) assign(from.exit_);
    return *this;
  }
  OwnedExit(OwnedExit&&) noexcept = default;
  OwnedExit& operator=(OwnedExit&&) noexcept = default;

  // Returns how many bytes it took.
  size_t assign(const RecordedExit& from) {
    exit_ = from;
    std::span<const uint8_t>* const borrowed[] = {&exit_.kvm_run, &exit_.data,
                                                  &exit_.answer_kvm_run, &exit_.answer_data};
    bytes_.clear();
    for (const auto* part : borrowed) bytes_.insert(bytes_.end(), part->begin(), part->end());
    const uint8_t* at = bytes_.data();
    for (auto* part : borrowed) {
      *part = {at, part->size()};
      at += part->size();
    }
    return bytes_.size();
  }
  const RecordedExit& exit() const { return exit_; }
  // Has what is read of most exits brought here before it is needed, where another processor has
  // written it.
  void prefetch() const {
    constexpr size_t kLineBytes = 64;
    for (const std::span<const uint8_t> moment : {exit_.kvm_run, exit_.answer_kvm_run})
      for (size_t at = 0; at < std::min(moment.size(), 2 * kLineBytes); at += kLineBytes)
        __builtin_prefetch(&moment[at]);
  }

 private:
  std::vector<uint8_t> bytes_;  // what `exit_` borrows: moving it leaves them where they are
  RecordedExit exit_;
};

}  // namespace kvmtape
