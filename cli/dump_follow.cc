#include "cli/dump_follow.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cli/live.h"

namespace kvmtape {
namespace {

constexpr int64_t kRoundNs = 250'000'000;

}  // namespace

void Followed::begin_round(const TraceReader& reader) {
  reader_ = &reader;
  for (auto& [vcpu_index, taken] : taken_) taken.seen_in_round = 0;
}

bool Followed::is_followed(const Item& item) const {
  return std::ranges::any_of(reader_->vcpus(), [&](const VcpuTotals& vcpu) {
    return vcpu.index == item.vcpu_index && reader_->time_ns(vcpu.last_tsc) > item.time_ns;
  });
}

bool Followed::waits_for_answer(const Item& item) {
  if (item.exit->has_answer || !reader_->health().writer_alive) return false;
  if (is_followed(item)) return false;  // it never gets one
  const auto [waiting, is_first] = waiting_seq_.try_emplace(item.vcpu_index, item.seq);
  return is_first || std::exchange(waiting->second, item.seq) != item.seq;
}

bool Followed::still_grows(const Item& item) const {
  return item.gap.why == GapReason::kStopped && reader_->health().writer_alive &&
         !is_followed(item);
}

bool Followed::is_new(const Item& item) {
  uint64_t& next_seq = next_seq_[item.vcpu_index];
  switch (item.kind) {
    case Item::Kind::kExit:
      if (item.seq < next_seq || waits_for_answer(item)) return false;
      next_seq = item.seq + 1;
      taken_[item.vcpu_index] = {item.seq, 0, 0};
      return true;
    case Item::Kind::kGap:
      if (item.gap.first_seq + item.gap.lost <= next_seq || still_grows(item)) return false;
      next_seq = item.gap.first_seq + item.gap.lost;
      return true;
    case Item::Kind::kRepeat:
      if (item.side->next_seq <= next_seq) return false;
      next_seq = item.side->next_seq;
      return true;
    case Item::Kind::kRegisters:
    case Item::Kind::kMemory: {
      const auto taken = taken_.find(item.vcpu_index);
      if (taken == taken_.end() || taken->second.seq != item.seq) return false;
      if (taken->second.seen_in_round++ < taken->second.printed) return false;
      ++taken->second.printed;
      return true;
    }
    case Item::Kind::kMark:
    case Item::Kind::kOther: {
      const auto [last, is_first] = last_side_ns_.try_emplace(item.vcpu_index, item.time_ns);
      if (!is_first && item.time_ns <= last->second) return false;
      last->second = item.time_ns;
      return true;
    }
  }
  return false;
}

int follow(TraceOptions trace, SelectOptions select, const PrintRound& print, Console& console) {
  const EndSignals signals;
  Followed followed;
  int64_t walked_ns = std::numeric_limits<int64_t>::min();
  uint64_t begin_ticks = 0;
  for (;;) {
    auto reader = trace.open();
    if (!reader.ok()) return console.fail(reader.error());
    const Session& session = (*reader)->session();
    if (trace.trace.empty()) trace.trace = (*reader)->path();  // `latest` may come to mean another
    if (begin_ticks != session.start.ticks && walked_ns > std::numeric_limits<int64_t>::min()) {
      console.warn((*reader)->path() +
                   ": goes on in a new file; the end of the one before is in its numbered file");
      walked_ns = std::numeric_limits<int64_t>::min();
    }
    begin_ticks = session.start.ticks;
    auto selection = select.selection(**reader);
    if (!selection.ok()) return console.fail(selection.error());
    if (walked_ns > std::numeric_limits<int64_t>::min()) {
      const auto last = std::numeric_limits<int64_t>::max();
      auto& time_ns =
          selection->time_ns ? *selection->time_ns : selection->time_ns.emplace(0, last);
      time_ns.first = std::max(time_ns.first, walked_ns - kMarginNs);
    }
    followed.begin_round(**reader);
    const bool read_on = print(**reader, select, *selection, followed);
    if (console.finish(kDone) != kDone) return kFailed;
    if (!read_on || console.closed()) return kDone;
    if (!(*reader)->health().writer_alive) return report_health(**reader, console);
    walked_ns = (*reader)->duration_ns();
    select.tail = 0;  // from where it began on, everything
    reader->reset();
    if (signals.wait(kRoundNs)) return kDone;
  }
}

}  // namespace kvmtape
