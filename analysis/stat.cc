#include "analysis/stat.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "analysis/exit_key.h"
#include "analysis/exit_label.h"
#include "analysis/session_context.h"
#include "replayer/exit_decoder.h"
#include "replayer/raw_moment.h"

namespace kvmtape {
namespace {

constexpr size_t kKeysMax = 4096;  // of one exit: about 40 MB if every histogram fills up

struct Counter {
  uint64_t count = 0;
  Histogram guest_ns, monitor_ns;
};

struct ExitCounter {
  uint32_t reason = 0;
  int32_t error = 0;
  Counter all;
  std::unordered_map<uint64_t, Counter> keys;
  Counter other_keys;
};

class Counters {
 public:
  // Exits come in runs of a few reasons: the last few are found first.
  ExitCounter& of(uint32_t reason, int32_t error) {
    for (auto& counter : counters_)
      if (counter->reason == reason && counter->error == error) return *counter;
    counters_.push_back(std::make_unique<ExitCounter>());
    counters_.back()->reason = reason;
    counters_.back()->error = error;
    return *counters_.back();
  }
  std::vector<std::unique_ptr<ExitCounter>>& all() { return counters_; }

 private:
  std::vector<std::unique_ptr<ExitCounter>> counters_;
};

void add(Counter& counter, std::optional<int64_t> guest_ns, std::optional<int64_t> monitor_ns) {
  ++counter.count;
  if (guest_ns) counter.guest_ns.add(static_cast<uint64_t>(std::max<int64_t>(*guest_ns, 0)));
  if (monitor_ns) counter.monitor_ns.add(static_cast<uint64_t>(std::max<int64_t>(*monitor_ns, 0)));
}

Counter& key_counter(ExitCounter& counter, uint64_t key) {
  auto found = counter.keys.find(key);
  if (found != counter.keys.end()) return found->second;
  if (counter.keys.size() >= kKeysMax) return counter.other_keys;
  return counter.keys[key];
}

StatRow row_of(std::string exit, std::string key, Counter& counter) {
  return {std::move(exit), std::move(key), counter.count, std::move(counter.guest_ns),
          std::move(counter.monitor_ns)};
}

void rows_of(Counters& counters, Architecture architecture, Stat& stat) {
  std::ranges::sort(counters.all(), [](const auto& a, const auto& b) {
    if (a->all.count != b->all.count) return a->all.count > b->all.count;
    return std::pair(a->reason, a->error) < std::pair(b->reason, b->error);
  });
  for (auto& counter : counters.all()) {
    const std::string exit = exit_label(counter->reason, counter->error);
    stat.exits += counter->all.count;
    stat.rows.push_back(row_of(exit, "", counter->all));
    std::vector<std::pair<uint64_t, Counter*>> keys;
    for (auto& [key, of_key] : counter->keys) keys.emplace_back(key, &of_key);
    std::ranges::sort(keys, [](const auto& a, const auto& b) {
      if (a.second->count != b.second->count) return a.second->count > b.second->count;
      return a.first < b.first;
    });
    for (auto& [key, of_key] : keys)
      stat.rows.push_back(row_of(exit, exit_key_text(architecture, counter->reason, key), *of_key));
    if (counter->other_keys.count != 0)
      stat.rows.push_back(row_of(exit, "others", counter->other_keys));
  }
}

// Four columns of each chunk and nothing else.
void count_columns(TraceReader& reader, const Selection& selection, Counters& counters) {
  const auto taken = [](const std::vector<uint32_t>& wanted, uint32_t value) {
    return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
  };
  const auto ns = [&](uint64_t ticks) -> std::optional<int64_t> {
    if (ticks == ChunkDecoder::kNoTicks) return std::nullopt;
    return reader.ticks_to_ns(ticks);
  };
  reader.summarize([&](uint32_t vcpu_index, const ChunkDecoder::Summary& chunk) {
    if (!taken(selection.vcpus, vcpu_index)) return;
    for (size_t i = 0; i < chunk.reasons.size(); ++i) {
      ExitCounter& counter = counters.of(chunk.reasons[i], static_cast<int32_t>(chunk.errnos[i]));
      add(counter.all, ns(chunk.guest[i]), ns(chunk.monitor[i]));
    }
  });
}

void count_decoded(TraceReader& reader, const StatOptions& options, Counters& counters,
                   Stat& stat) {
  const ExitDecoder decoder(decode_context_of(reader.session()));
  Exit exit;
  struct Repeated {
    uint64_t seq = 0;
    Counter *all = nullptr, *of_key = nullptr;
  };
  std::map<uint32_t, Repeated> last;  // by vCPU: what a repeat repeats
  uint64_t seen = 0;
  Item item;
  reader.rewind(options.selection);
  while (reader.next(item)) {
    if (item.kind == Item::Kind::kGap) stat.lost += item.gap.lost;
    if (item.kind == Item::Kind::kRepeat) {
      const Repeated& repeated = last[item.vcpu_index];
      if (repeated.seq == item.repeat.of_seq && repeated.all != nullptr)
        for (Counter* counter : {repeated.all, repeated.of_key})
          if (counter != nullptr) counter->count += item.repeat.count;
    }
    if (item.kind != Item::Kind::kExit) continue;
    const RecordedExit& recorded = *item.exit;
    if (options.keys || !options.selection.reasons.empty()) {
      RawMoment moment;
      moment.kvm_run = recorded.kvm_run;
      moment.data = recorded.data;
      moment.ret = recorded.ret;
      moment.ret_known = decoder.context().ret_recorded;
      decoder.decode(moment, exit);
      // Selected by a reason that a failed KVM_RUN left over: it is no such exit.
      if (!options.selection.reasons.empty() && exit.reason_validity == Validity::kStale) continue;
    }
    if (seen++ < options.skip) continue;
    ExitCounter& counter = counters.of(recorded.reason, errno_of(recorded.ret));
    add(counter.all, item.guest_ns, item.monitor_ns);
    Repeated& repeated = last[item.vcpu_index] = {item.seq, &counter.all, nullptr};
    if (!options.keys) continue;
    if (const auto key = exit_key(exit))
      add(*(repeated.of_key = &key_counter(counter, *key)), item.guest_ns, item.monitor_ns);
  }
}

}  // namespace

Stat count_exits(TraceReader& reader, const StatOptions& options) {
  Stat stat;
  Counters counters;
  const bool by_column = !options.keys && options.selection.reasons.empty() &&
                         !options.selection.seq && !options.selection.time_ns &&
                         options.skip == 0 && reader.folded() == 0;
  if (by_column) {
    count_columns(reader, options.selection, counters);
    for (const VcpuTotals& vcpu : reader.vcpus())
      if (options.selection.vcpus.empty() ||
          std::ranges::find(options.selection.vcpus, vcpu.index) != options.selection.vcpus.end())
        stat.lost += vcpu.lost;
  } else {
    count_decoded(reader, options, counters, stat);
  }
  rows_of(counters, reader.session().architecture, stat);
  return stat;
}

}  // namespace kvmtape
