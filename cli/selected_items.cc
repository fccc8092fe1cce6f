#include "cli/selected_items.h"

#include "analysis/decoded_exit.h"

namespace kvmtape {

SelectedItems::SelectedItems(TraceReader& reader, const SelectOptions& options,
                             const Selection& selection, const ExitDecoder& decoder)
    : reader_(reader),
      decoder_(decoder),
      by_reason_(!selection.reasons.empty()),
      with_side_(selection.vcpus.empty() && selection.reasons.empty() && !selection.seq),
      before_tail_(options.tail != 0) {
  if (before_tail_) {
    // What the headers of chunks say of exits is true only of those that can be read.
    uint64_t exits = 0;
    Item item;
    for (reader.rewind(selection); next_taken(item);)
      exits += item.kind == Item::Kind::kExit ? 1 : 0;
    to_skip_ = skipped_ = exits > options.tail ? exits - options.tail : 0;
  }
  last_taken_.clear();
  reader.rewind(selection);
}

bool SelectedItems::next(Item& item) {
  while (next_taken(item)) {
    if (!before_tail_) return true;
    if (item.kind != Item::Kind::kExit) continue;
    if (to_skip_ == 0) {
      before_tail_ = false;
      return true;
    }
    --to_skip_;
  }
  return false;
}

bool SelectedItems::next_taken(Item& item) {
  while (reader_.next(item))
    if (takes(item)) return true;
  return false;
}

bool SelectedItems::takes(const Item& item) {
  switch (item.kind) {
    case Item::Kind::kExit: {
      if (!by_reason_) return true;
      decoder_.decode(exit_moment(*item.exit, decoder_.context()), exit_);
      if (exit_.reason_validity == Validity::kStale) return false;
      last_taken_[item.vcpu_index] = item.seq;
      return true;
    }
    case Item::Kind::kRegisters:
    case Item::Kind::kMemory:
    case Item::Kind::kRepeat: {
      if (!by_reason_) return true;
      const auto last = last_taken_.find(item.vcpu_index);
      return last != last_taken_.end() && last->second == item.seq;
    }
    case Item::Kind::kMark:
    case Item::Kind::kOther:
      return with_side_;
    case Item::Kind::kGap:
      return true;
  }
  return true;
}

}  // namespace kvmtape
