#include "analysis/diff/lost_exits.h"

#include <algorithm>

namespace kvmtape {
namespace {

uint64_t room_of(const LostExits& loss) { return loss.lost - loss.accounted; }

// One of the two sides of an alignment.
struct Side {
  std::span<const ExitIdentity> exits;
  uint32_t AlignedRun::*at;
};

// `more` has exits that `less` has not, in front of run `next`.
class OneSided {
 public:
  OneSided(std::vector<AlignedRun>& runs, const Side& more, const Side& less, size_t next)
      : runs_(runs), more_(more), less_(less), next_(next) {
    begin_ = end_of_previous(more);
    end_ = next < runs.size() ? runs[next].*more.at : static_cast<uint32_t>(more.exits.size());
    here_ = end_of_previous(less);
    const uint32_t less_end =
        next < runs.size() ? runs[next].*less.at : static_cast<uint32_t>(less.exits.size());
    is_one_ = begin_ != end_ && here_ == less_end;
  }

  void settle(const LostList& losses) {
    if (!is_one_) return;
    const auto behind = std::ranges::upper_bound(losses, here_, {}, &LostExits::at);
    if (behind != losses.begin()) {
      const LostExits& nearest = *std::prev(behind);
      if (nearest.at == here_ || (takes(nearest) && move_back(here_ - nearest.at))) return;
    }
    if (behind != losses.end() && takes(*behind)) move_on(behind->at - here_);
  }

 private:
  uint32_t end_of_previous(const Side& side) const {
    return next_ == 0 ? 0 : runs_[next_ - 1].*side.at + runs_[next_ - 1].count;
  }
  bool takes(const LostExits& loss) const { return loss.lost >= end_ - begin_; }

  bool move_back(uint32_t by) {
    if (next_ == 0 || runs_[next_ - 1].count < by) return false;
    for (uint32_t i = 1; i <= by; ++i)
      if (more_.exits[begin_ - i] != more_.exits[end_ - i]) return false;
    runs_[next_ - 1].count -= by;
    if (next_ == runs_.size()) runs_.push_back(run_at(end_, here_));
    runs_[next_].*more_.at -= by;
    runs_[next_].*less_.at -= by;
    runs_[next_].count += by;
    return true;
  }

  void move_on(uint32_t by) {
    if (next_ == runs_.size() || runs_[next_].count < by) return;
    for (uint32_t i = 0; i < by; ++i)
      if (more_.exits[begin_ + i] != more_.exits[end_ + i]) return;
    runs_[next_].*more_.at += by;
    runs_[next_].*less_.at += by;
    runs_[next_].count -= by;
    if (next_ == 0) runs_.insert(runs_.begin(), run_at(begin_, here_)), next_ = 1;
    runs_[next_ - 1].count += by;
  }

  AlignedRun run_at(uint32_t more, uint32_t less) const {
    AlignedRun run;
    run.*more_.at = more;
    run.*less_.at = less;
    return run;
  }

  std::vector<AlignedRun>& runs_;
  const Side &more_, &less_;
  size_t next_;
  uint32_t begin_, end_, here_;
  bool is_one_;
};

}  // namespace

std::optional<std::string_view> why_open_end(const TraceHealth& health) {
  switch (health.open_end()) {
    case OpenEnd::kStillRecorded:
      return "still being recorded";
    case OpenEnd::kTorn:
      return "torn end";
    case OpenEnd::kUnsealed:
      return "unsealed end";
    case OpenEnd::kNone:
      break;
  }
  return std::nullopt;
}

void settle_at_losses(Alignment& alignment, std::span<const ExitIdentity> a,
                      std::span<const ExitIdentity> b, const LostList& lost_a,
                      const LostList& lost_b) {
  const Side in_a{a, &AlignedRun::a}, in_b{b, &AlignedRun::b};
  // A run may be added at either end.
  if (!lost_b.empty())
    for (size_t next = 0; next <= alignment.runs.size(); ++next)
      OneSided(alignment.runs, in_a, in_b, next).settle(lost_b);
  if (!lost_a.empty())
    for (size_t next = 0; next <= alignment.runs.size(); ++next)
      OneSided(alignment.runs, in_b, in_a, next).settle(lost_a);
  std::erase_if(alignment.runs, [](const AlignedRun& run) { return run.count == 0; });
}

LossesBetween::LossesBetween(LostList& losses, uint32_t first, uint32_t last)
    : losses_(std::ranges::lower_bound(losses, first, {}, &LostExits::at),
              std::ranges::upper_bound(losses, last, {}, &LostExits::at)) {}

bool LossesBetween::have_room_for(uint64_t count) const {
  for (const LostExits& loss : losses_) {
    if (room_of(loss) >= count) return true;
    count -= room_of(loss);
  }
  return false;
}

void LossesBetween::account(uint64_t other_seq) {
  const auto loss =
      std::ranges::find_if(losses_, [](const LostExits& each) { return room_of(each) != 0; });
  if (loss == losses_.end()) return;
  if (loss->accounted++ == 0) loss->other_first = other_seq;
  loss->other_last = other_seq;
}

}  // namespace kvmtape
