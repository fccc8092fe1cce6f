#include "analysis/stat.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "analysis/decoded_exit.h"
#include "analysis/exit_counters.h"
#include "analysis/exit_key.h"
#include "analysis/exit_label.h"
#include "analysis/session_context.h"
#include "replayer/exit_decoder.h"

namespace kvmtape {
namespace {

bool is_wanted(StatKeys keys, KeyKind kind) {
  switch (keys) {
    case StatKeys::kNone:
      return false;
    case StatKeys::kAll:
      return true;
    case StatKeys::kPort:
      return kind == KeyKind::kPort;
    case StatKeys::kAddress:
      return kind == KeyKind::kAddress;
    case StatKeys::kMsr:
      return kind == KeyKind::kMsr;
    case StatKeys::kHypercall:
      return kind == KeyKind::kHypercall;
    case StatKeys::kEc:
      return kind == KeyKind::kEc;
  }
  return false;
}

// What is counted at the moment, until it is taken.
class StatCounter {
 public:
  StatCounter(TraceReader& reader, const StatOptions& options)
      : options_(options),
        architecture_(reader.session().architecture),
        addresses_(options.keys == StatKeys::kNone ? AddressMap() : AddressMap(reader)),
        only_keyed_(options.keys != StatKeys::kAll && options.keys != StatKeys::kNone) {}

  ExitCounters& of_vcpu(uint32_t vcpu) { return counters_[options_.by_vcpu ? vcpu : 0]; }
  void add_exits(uint64_t count) { stat_.exits += count; }
  template <typename Add>
  void add_exit(uint32_t vcpu, uint32_t reason, int32_t error, std::optional<uint64_t> key,
                uint64_t count, Add add) {
    stat_.exits += count;
    if (only_keyed_ && !key) return;
    ExitCounter& counter = of_vcpu(vcpu).of(reason, error);
    add(counter.all);
    if (key) add(ExitCounters::of_key(counter, *key, key_room_));
  }
  void add_lost(uint32_t vcpu, uint64_t lost) {
    if (lost == 0) return;
    stat_.lost += lost;
    stat_.lost_of[vcpu] += lost;
  }
  bool is_empty() const { return stat_.exits == 0 && stat_.lost == 0; }

  Stat take(int64_t from_ns, int64_t to_ns) {
    stat_.from_ns = from_ns;
    stat_.to_ns = std::max(from_ns, to_ns);
    for (auto& [vcpu, counters] : counters_)
      counters.take_rows(architecture_, addresses_, options_,
                         options_.by_vcpu ? std::optional(vcpu) : std::nullopt, stat_.rows);
    counters_.clear();
    key_room_ = kStatKeysMax;
    return std::exchange(stat_, Stat{});
  }

 private:
  const StatOptions& options_;
  const Architecture architecture_;
  const AddressMap addresses_;
  const bool only_keyed_;
  size_t key_room_ = kStatKeysMax;
  std::map<uint32_t, ExitCounters> counters_;  // by vCPU; by 0 if all are counted together
  Stat stat_;
};

bool is_selected(const std::vector<uint32_t>& wanted, uint32_t value) {
  return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

// Four columns of each chunk and nothing else.
void count_columns(TraceReader& reader, const Selection& selection, StatCounter& counter) {
  const auto ns = [&](uint64_t ticks) -> std::optional<int64_t> {
    if (ticks == ChunkDecoder::kNoTicks) return std::nullopt;
    return reader.ticks_to_ns(ticks);
  };
  reader.summarize([&](uint32_t vcpu, const ChunkDecoder::Summary& chunk) {
    if (!is_selected(selection.vcpus, vcpu)) return;
    ExitCounters& counters = counter.of_vcpu(vcpu);
    counter.add_exits(chunk.reasons.size());
    ExitCounter* last = nullptr;
    for (size_t i = 0; i < chunk.reasons.size(); ++i) {
      const auto error = static_cast<int32_t>(chunk.errnos[i]);
      if (last == nullptr || last->reason != chunk.reasons[i] || last->error != error)
        last = &counters.of(chunk.reasons[i], error);
      last->all.add(ns(chunk.guest[i]), ns(chunk.monitor[i]));
    }
  });
  for (const VcpuTotals& vcpu : reader.vcpus())
    if (is_selected(selection.vcpus, vcpu.index)) counter.add_lost(vcpu.index, vcpu.lost);
}

// Walks decoded exits, so that keys can be told.
class StatWalk {
 public:
  StatWalk(TraceReader& reader, const StatOptions& options, StatProgress* progress)
      : reader_(reader),
        options_(options),
        progress_(progress),
        decoder_(decode_context_of(reader.session())),
        counter_(reader, options) {
    reader_.rewind(options.selection);
  }

  // Up to the first item of `interval_ns` other than the one that is counted, or to the end.
  void run(int64_t interval_ns, const std::function<bool(const Stat&)>& each) {
    int64_t interval = std::numeric_limits<int64_t>::min();
    Item item;
    while (reader_.next(item)) {
      const int64_t at = item.time_ns / interval_ns;
      if (at > interval) {
        if (!counter_.is_empty() && !each(take(interval, interval_ns))) return;
        interval = at;
      }
      add(item);
    }
    if (!counter_.is_empty()) each(take(interval, interval_ns));
  }
  Stat run() {
    Item item;
    while (reader_.next(item)) add(item);
    for (const auto& [vcpu, exit] : waiting_) (*progress_)[vcpu] = exit.seq;
    const bool some_of_it = options_.selection.seq || options_.skip != 0;
    if (some_of_it) return counter_.take(first_ns_.value_or(0), last_ns_);
    const int64_t from =
        options_.selection.time_ns ? options_.selection.time_ns->first : reader_.begin_ns();
    const int64_t to =
        options_.selection.time_ns ? options_.selection.time_ns->second : reader_.duration_ns();
    return counter_.take(std::max<int64_t>(from, 0), std::min(to, reader_.duration_ns()));
  }

 private:
  struct Seen {
    uint64_t seq = 0;
    uint32_t reason = 0;
    int32_t error = 0;
    std::optional<uint64_t> key;
    std::optional<int64_t> guest_ns, monitor_ns;
  };

  // Of the first and the last interval only what was recorded, here, and selected is time that
  // exits could come in.
  Stat take(int64_t interval, int64_t interval_ns) {
    const int64_t from = interval * interval_ns;
    const int64_t room = std::numeric_limits<int64_t>::max() - interval_ns;
    const auto selected = options_.selection.time_ns.value_or(
        std::pair(int64_t{0}, std::numeric_limits<int64_t>::max()));
    const int64_t end = std::min({from > room ? from : from + interval_ns, selected.second,
                                  std::max(reader_.recorded_ns(), reader_.duration_ns())});
    return counter_.take(std::max({from, selected.first, reader_.begin_ns()}), end);
  }

  void add(const Item& item) {
    switch (item.kind) {
      case Item::Kind::kGap:
        if (!is_new(item.vcpu_index, item.gap.first_seq)) return;
        count_waiting(item.vcpu_index);
        counter_.add_lost(item.vcpu_index, item.gap.lost);
        advance(item.vcpu_index, item.gap.first_seq + item.gap.lost);
        return;
      case Item::Kind::kRepeat:
        add_repeat(item);
        return;
      case Item::Kind::kExit:
        add_exit(item);
        return;
      default:
        return;
    }
  }

  void add_repeat(const Item& item) {
    const auto repeated = last_.find(item.vcpu_index);
    if (repeated == last_.end() || repeated->second.seq != item.repeat.of_seq) return;
    // A run that was under way when it was counted last has grown.
    const uint64_t end = item.side->next_seq;
    if (!is_new(item.vcpu_index, end - 1)) return;
    count_waiting(item.vcpu_index);
    uint64_t count = item.repeat.count;
    if (progress_ != nullptr && progress_->contains(item.vcpu_index))
      count = std::min(count, end - progress_->at(item.vcpu_index));
    const Seen& exit = repeated->second;
    counter_.add_exit(item.vcpu_index, exit.reason, exit.error, exit.key, count,
                      [&](TimedCounter& counter) { counter.count += count; });
    advance(item.vcpu_index, end);
  }

  void add_exit(const Item& item) {
    const RecordedExit& recorded = *item.exit;
    Seen exit{item.seq,     recorded.reason, errno_of(recorded.ret),
              std::nullopt, item.guest_ns,   item.monitor_ns};
    if (options_.keys != StatKeys::kNone || !options_.selection.reasons.empty()) {
      decoder_.decode(exit_moment(recorded, decoder_.context()), exit_);
      // Selected by a reason that a failed KVM_RUN left over: it is no such exit.
      if (!options_.selection.reasons.empty() && exit_.reason_validity == Validity::kStale) return;
      if (is_wanted(options_.keys, key_kind(recorded.reason))) exit.key = exit_key(exit_);
    }
    if (seen_++ < options_.skip) return;
    last_[item.vcpu_index] = exit;
    if (!is_new(item.vcpu_index, item.seq)) return;
    if (!first_ns_) first_ns_ = item.time_ns;
    last_ns_ = item.time_ns;
    count_waiting(item.vcpu_index);
    if (progress_ != nullptr && !exit.monitor_ns)
      waiting_[item.vcpu_index] = exit;
    else
      count(item.vcpu_index, exit);
    advance(item.vcpu_index, item.seq + 1);
  }

  void count(uint32_t vcpu, const Seen& exit) {
    counter_.add_exit(vcpu, exit.reason, exit.error, exit.key, 1,
                      [&](TimedCounter& counter) { counter.add(exit.guest_ns, exit.monitor_ns); });
  }
  // An exit that another one followed gets no answer any more.
  void count_waiting(uint32_t vcpu) {
    const auto waiting = waiting_.find(vcpu);
    if (waiting == waiting_.end()) return;
    count(vcpu, waiting->second);
    waiting_.erase(waiting);
  }

  bool is_new(uint32_t vcpu, uint64_t seq) const {
    return progress_ == nullptr || !progress_->contains(vcpu) || seq >= progress_->at(vcpu);
  }
  void advance(uint32_t vcpu, uint64_t next_seq) {
    if (progress_ != nullptr) (*progress_)[vcpu] = next_seq;
  }

  TraceReader& reader_;
  const StatOptions& options_;
  StatProgress* const progress_;
  const ExitDecoder decoder_;
  StatCounter counter_;
  Exit exit_;
  uint64_t seen_ = 0;
  std::optional<int64_t> first_ns_;
  int64_t last_ns_ = 0;
  std::map<uint32_t, Seen> last_;     // by vCPU: what a repeat repeats
  std::map<uint32_t, Seen> waiting_;  // by vCPU: counted when it is answered
};

}  // namespace

Stat count_exits(TraceReader& reader, const StatOptions& options) {
  const bool by_column = options.keys == StatKeys::kNone && options.selection.reasons.empty() &&
                         !options.selection.seq && !options.selection.time_ns &&
                         options.skip == 0 && reader.folded() == 0 && !reader.overlaps();
  if (!by_column) return StatWalk(reader, options, nullptr).run();
  StatCounter counter(reader, options);
  count_columns(reader, options.selection, counter);
  return counter.take(reader.begin_ns(), reader.duration_ns());
}

void count_intervals(TraceReader& reader, const StatOptions& options, int64_t interval_ns,
                     const std::function<bool(const Stat&)>& each) {
  StatWalk(reader, options, nullptr).run(interval_ns, each);
}

Stat count_new_exits(TraceReader& reader, const StatOptions& options, StatProgress& progress) {
  return StatWalk(reader, options, &progress).run();
}

}  // namespace kvmtape
