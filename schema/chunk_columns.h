// The columns of an Exits chunk in memory, before they are written or after they were read;
// ColumnId (trace_format.h) says what each holds. One instance serves chunk after chunk and keeps
// its memory; it belongs to one encoder or decoder. Internal to the chunk codec.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "schema/snapshot.h"

namespace kvmtape {

struct ChunkColumns {
  std::vector<uint32_t> reasons, flags, ready, errnos, guest, monitor, exit_masks, answer_masks;
  std::vector<uint64_t> tick_escapes, masks, sync_words, side;
  std::vector<uint8_t> data;

  void clear() {
    for (auto* column :
         {&reasons, &flags, &ready, &errnos, &guest, &monitor, &exit_masks, &answer_masks})
      column->clear();
    for (auto* column : {&tick_escapes, &masks, &sync_words, &side}) column->clear();
    data.clear();
  }
};

// Changed core words, those of each place in kvm_run together. As the encoder gathers them:
struct GatheredWords {
  std::array<std::vector<uint64_t>, kCoreWordsS390> places;
  void clear() {
    for (auto& words : places) words.clear();
  }
};
// And as the decoder takes them: next[i] is the next word of place i.
struct GroupedWords {
  std::vector<uint64_t> words;
  std::array<const uint64_t*, kCoreWordsS390> next{};
};

}  // namespace kvmtape
