#include "recorder/probe/stage.h"

#include <fmt/core.h>

#include <utility>

namespace kvmtape {

void Stage::check(bool holds, const std::string& otherwise) {
  if (going() && !holds) differ(otherwise);
}

void Stage::remark(std::string finding) {
  const std::lock_guard lock(mutex_);
  if (outcome_ == GuestOutcome::kAsExpected) detail_ = std::move(finding);
}

bool Stage::count_exit() {
  if (exits_.fetch_add(1, std::memory_order_relaxed) < exits_max_) return true;
  differ(fmt::format("did not end within {} exits", exits_max_));
  return false;
}

GuestOutcome Stage::outcome() const {
  const std::lock_guard lock(mutex_);
  return outcome_;
}

std::string Stage::detail() const {
  const std::lock_guard lock(mutex_);
  return detail_;
}

void Stage::stop(GuestOutcome outcome, std::string why) {
  const std::lock_guard lock(mutex_);
  if (outcome_ != GuestOutcome::kAsExpected) return;
  outcome_ = outcome;
  detail_ = std::move(why);
  stopped_.store(true, std::memory_order_release);
}

}  // namespace kvmtape
