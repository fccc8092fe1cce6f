// Whole kvm_run images of one vCPU into the records that capture would have left in a ring: only
// words that changed since the moment before, a keyframe at first. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/snapshot.h"

namespace kvmtape {

class MomentWriter {
 public:
  explicit MomentWriter(uint32_t core_words = kCoreWords) : core_words_(core_words) {}

  // Appends one record to `words`. `kvm_run` is the core, or that and the whole sync area. Returns
  // what it became: an answer without an exit is an entry.
  RecordKind append(bool is_answer, int32_t ret, uint64_t ticks, std::span<const uint8_t> kvm_run,
                    std::span<const uint8_t> data, std::vector<uint64_t>& words);

  // The next record holds every word, as the first in a ring's block must.
  void make_next_a_keyframe() { keyframe_due_ = true; }

 private:
  void append_sync(std::span<const uint8_t> sync, std::vector<uint64_t>& words);

  uint32_t core_words_;
  std::array<uint64_t, kCoreWordsS390> shadow_{};
  std::array<uint64_t, kSyncWords> sync_shadow_{};
  std::vector<uint8_t> exit_data_;
  bool exit_open_ = false;
  bool keyframe_due_ = true;
};

}  // namespace kvmtape
