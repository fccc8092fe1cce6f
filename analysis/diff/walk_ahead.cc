#include "analysis/diff/walk_ahead.h"

#include <system_error>
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
  // The batch that is looked at first, of nothing, is batch 0.
  filled_ = 1;
  try {
    filler_ = std::thread([this] { fill_ahead(); });
  } catch (const std::system_error&) {
    // next() fills.
  }
}

WalkAhead::~WalkAhead() {
  if (!filler_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  filler_.join();
}

void WalkAhead::fill_ahead() {
  for (bool more = true; more;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || filled_ - passed_ < kBatches; });
    if (stop_) return;
    Batch& next = batch(filled_);
    lock.unlock();
    more = try_fill(next);
    lock.lock();
    ++filled_;
    lock.unlock();
    changed_.notify_one();
  }
}

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
  if (current().is_last) return false;
  if (filler_.joinable()) {
    std::unique_lock lock(mutex_);
    passed_ = ++current_;
    changed_.notify_one();
    changed_.wait(lock, [&] { return filled_ > current_; });
  } else {
    try_fill(batch(++current_));
  }
  at_ = 0;
  if (current().thrown) std::rethrow_exception(std::exchange(batch(current_).thrown, nullptr));
  return true;
}

bool WalkAhead::next() {
  have_ = Parts::kNone;
  while (at_ == current().exits.size()) {
    if (!next_batch()) {
      here_ = {current().end_seq, here_.time_ns, kNotWanted};
      return false;
    }
  }
  here_ = current().exits[at_++];
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
