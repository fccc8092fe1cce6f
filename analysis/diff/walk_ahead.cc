#include "analysis/diff/walk_ahead.h"

#include <utility>

namespace kvmtape {

WalkAhead::WalkAhead(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
                     const Selection& selection, uint32_t vcpu_index, uint64_t skipped,
                     std::function<bool(uint32_t)> is_wanted)
    : decoder_(decoder),
      walk_(reader, decoder_, normaliser, selection, vcpu_index),
      skipped_(skipped),
      is_wanted_(std::move(is_wanted)),
      slots_(std::make_shared<MemorySlots>(walk_.slots())),
      guest_(std::make_shared<std::string>()) {
  fill_ahead();
}

WalkAhead::~WalkAhead() {
  if (filling_.valid()) filling_.wait();
}

void WalkAhead::fill_ahead() {
  filling_ = std::async([this] { fill(batches_[1 - current_]); });
}

bool WalkAhead::next() {
  is_decoded_ = false;
  while (at_ == batches_[current_].exits.size()) {
    if (batches_[current_].is_last) {
      here_ = {batches_[current_].end_seq, here_.time_ns, kNotWanted};
      return false;
    }
    std::future<void> filled = std::move(filling_);
    if (!filled.valid()) return false;  // it has thrown
    filled.get();
    current_ = 1 - current_;
    at_ = 0;
    if (!batches_[current_].is_last) fill_ahead();
  }
  here_ = batches_[current_].exits[at_++];
  return true;
}

const DecodedExit& WalkAhead::decoded() {
  if (!is_decoded_) decode_both(decoder_, wanted().recorded.exit(), decoded_);
  is_decoded_ = true;
  return decoded_;
}

void WalkAhead::fill(Batch& batch) {
  batch.exits.clear();
  batch.wanted_count = 0;
  for (; skipped_ != 0; --skipped_) walk_.next();
  size_t bytes = 0;
  while (batch.exits.size() < kExitsMax && batch.wanted_count < kWantedMax && bytes < kBytesMax) {
    if (!walk_.next()) {
      batch.is_last = true;
      batch.end_seq = walk_.seq();
      return;
    }
    Here here{walk_.seq(), walk_.time_ns(), kNotWanted};
    if (is_wanted_(number_++)) {
      if (batch.wanted_count == batch.wanted.size()) batch.wanted.emplace_back();
      here.wanted = static_cast<uint32_t>(batch.wanted_count++);
      bytes += keep(batch.wanted[here.wanted]);
    }
    batch.exits.push_back(here);
  }
}

size_t WalkAhead::keep(Wanted& wanted) {
  constexpr size_t kSlotBytes = 256;  // in both of its maps, about
  size_t bytes = 0;
  if (walk_.slots().version() != slots_->version()) {
    slots_ = std::make_shared<MemorySlots>(walk_.slots());
    bytes += slots_->count() * kSlotBytes;
  }
  if (walk_.guest() != *guest_) guest_ = std::make_shared<std::string>(walk_.guest());
  wanted.slots = slots_;
  wanted.guest = guest_;
  wanted.taken = walk_.taken();
  for (const auto& [set, contents] : wanted.taken)
    bytes += contents.bytes.size() + contents.without.size() * sizeof contents.without[0];
  return bytes + wanted.recorded.assign(walk_.recorded());
}

}  // namespace kvmtape
