#include "analysis/diff/walk_ahead.h"

#include <utility>

namespace kvmtape {

WalkAhead::WalkAhead(ReadAhead& ahead, TraceReader& reader, const ExitDecoder& decoder,
                     const Normaliser& normaliser, const Selection& selection, uint32_t vcpu_index,
                     uint64_t skipped, std::function<uint32_t(uint32_t)> next_wanted)
    : decoder_(decoder),
      walk_(reader, decoder_, normaliser, selection, vcpu_index),
      skipped_(skipped),
      next_wanted_(std::move(next_wanted)),
      wanted_at_(next_wanted_(0)),
      decoded_bytes_(reader.session().architecture),
      queue_(ahead, kBatches, [this](uint64_t number) { return try_fill(batch(number)); }) {}

// False: the last one.
bool WalkAhead::try_fill(Batch& batch) noexcept {
  try {
    fill(batch);
  } catch (...) {
    batch.exits.clear();
    batch.is_last = true;
    batch.thrown = std::current_exception();
  }
  return !batch.is_last;
}

// False: that was the last one.
bool WalkAhead::next_batch() {
  if (current_ != nullptr && current_->is_last) return false;
  queue_.wait_for(next_number_);
  current_ = &batch(next_number_++);
  at_ = 0;
  if (current_->thrown) std::rethrow_exception(std::exchange(current_->thrown, nullptr));
  return true;
}

bool WalkAhead::next() {
  have_ = Parts::kNone;
  while (current_ == nullptr || at_ == current_->exits.size()) {
    if (!next_batch()) {
      here_ = {current_->end_seq, here_.time_ns, kNotWanted};
      return false;
    }
  }
  here_ = current_->exits[at_++];
  constexpr size_t kPrefetched = 4;  // exits from here
  if (here_.wanted != kNotWanted && here_.wanted + kPrefetched < current_->wanted_count)
    current_->wanted[here_.wanted + kPrefetched].recorded.prefetch();
  return true;
}

const DecodedExit& WalkAhead::decoded() {
  if (have_ != Parts::kBoth) decode_both(decoder_, wanted().recorded.exit(), decoded_);
  have_ = Parts::kBoth;
  return decoded_;
}

const Exit& WalkAhead::exit() {
  if (have_ == Parts::kNone) {
    decoder_.decode(exit_moment(wanted().recorded.exit(), decoder_.context()), decoded_.exit);
    have_ = Parts::kExit;
  }
  return decoded_.exit;
}

void WalkAhead::fill(Batch& batch) {
  batch.exits.clear();
  batch.wanted_count = 0;
  batch.known.clear();
  for (; skipped_ != 0; --skipped_) walk_.next();
  size_t bytes = 0;
  while (batch.exits.size() < kExitsMax && batch.wanted_count < kWantedMax && bytes < kBytesMax) {
    if (!walk_.next()) {
      batch.is_last = true;
      batch.end_seq = walk_.seq();
      return;
    }
    Here& here = batch.exits.emplace_back(Here{walk_.seq(), walk_.time_ns(), kNotWanted});
    if (number_ == wanted_at_) {
      here.wanted = static_cast<uint32_t>(batch.wanted_count);
      bytes += keep(batch);
      wanted_at_ = next_wanted_(number_ + 1);
    }
    ++number_;
  }
}

size_t WalkAhead::keep(Batch& batch) {
  constexpr size_t kSlotBytes = 256;  // in both of its maps, about
  size_t bytes = 0;
  const MemorySlots& slots = walk_.slots();
  const bool slots_changed = known_ == nullptr || known_->slots->version() != slots.version();
  if (slots_changed || known_->guest != walk_.guest()) {
    if (slots_changed) bytes += slots.count() * kSlotBytes;
    known_ = std::make_shared<const Known>(Known{
        slots_changed ? std::make_shared<const MemorySlots>(slots) : known_->slots, walk_.guest()});
  }
  if (batch.known.empty() || batch.known.back() != known_) batch.known.push_back(known_);
  if (batch.wanted_count == batch.wanted.size()) batch.wanted.emplace_back();
  Wanted& wanted = batch.wanted[batch.wanted_count++];
  wanted.known = known_.get();
  wanted.taken = walk_.taken();
  for (const auto& [set, contents] : wanted.taken)
    bytes += contents.bytes.size() + contents.without.size() * sizeof contents.without[0];
  RecordedExit kept = walk_.recorded();
  kept.kvm_run = decoded_bytes_.of_exit(kept);
  kept.answer_kvm_run = decoded_bytes_.of_answer(kept);
  return bytes + wanted.recorded.assign(kept);
}

}  // namespace kvmtape
