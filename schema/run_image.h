// kvm_run as the last record left it. A ring's records tell what changed since the ring's last
// moment; a chunk stands alone, so its first exit must tell all that is not zero. Internal to the
// chunk encoder; inline because it runs for every moment.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/moment_record.h"
#include "schema/snapshot.h"
#include "schema/sync_area.h"

namespace kvmtape {

class RunImage {
 public:
  explicit RunImage(uint32_t core_words)
      : core_words_(core_words), all_words_(core_mask_all(core_words)) {}

  uint64_t operator[](size_t word) const { return words_[word]; }
  std::span<const uint64_t> core() const { return std::span(words_).first(core_words_); }

  // The next moment is the first of a chunk, whose reader begins with zeros.
  void begin_chunk() { told_ = sync_told_ = false; }

  // Brings the core up to date; returns the mask of words that the chunk's reader must be told.
  [[gnu::always_inline]] uint64_t apply_core(uint64_t mask, const uint64_t* word) {
    if (told_ && mask != all_words_) [[likely]] {
      for (uint64_t rest = mask; rest != 0; rest &= rest - 1)
        words_[static_cast<size_t>(std::countr_zero(rest))] = *word++;
      return mask;
    }
    return apply_keyframe(mask, word);
  }

  // Brings the sync area up to date and appends to `column` what the chunk's reader must be told.
  void apply_sync_to(std::span<const uint64_t> sync, std::vector<uint64_t>& column) {
    apply_sync(sync, &words_[core_words_]);
    if (sync_told_)
      column.insert(column.end(), sync.begin(), sync.end());
    else
      append_whole_sync(&words_[core_words_], column);
    sync_told_ = true;
  }
  // The same of a moment that the reader is told by other means, without its sync area.
  void apply_untold_sync(std::span<const uint64_t> sync) {
    apply_sync(sync, &words_[core_words_]);
    sync_told_ = false;
  }

 private:
  [[gnu::noinline]] uint64_t apply_keyframe(uint64_t mask, const uint64_t* word) {
    uint64_t changed = 0;
    for (; mask != 0; mask &= mask - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(mask));
      changed |= uint64_t{words_[i] != *word} << i;
      words_[i] = *word++;
    }
    if (told_) return changed;
    told_ = true;
    return nonzero_core();
  }

  uint64_t nonzero_core() const {
    uint64_t mask = 0;
    for (uint32_t i = 0; i < core_words_; ++i) mask |= uint64_t{words_[i] != 0} << i;
    return mask;
  }

  uint32_t core_words_;
  uint64_t all_words_;
  bool told_ = false;  // the chunk's reader has an image to which changes can be applied
  bool sync_told_ = false;
  std::array<uint64_t, kRunWordsMax> words_{};
};

}  // namespace kvmtape
