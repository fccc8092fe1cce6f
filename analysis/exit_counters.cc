#include "analysis/exit_counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <utility>

#include "analysis/exit_key.h"
#include "analysis/exit_label.h"

namespace kvmtape {
namespace {

// The reason that KVM_RUN left behind where it failed: one row for all.
constexpr uint32_t kLeftOver = ~uint32_t{0};

uint64_t weight_of(const TimedCounter& counter, StatSort sort) {
  switch (sort) {
    case StatSort::kCount:
      return counter.count;
    case StatSort::kGuest:
      return counter.guest_ns.total();
    case StatSort::kMonitor:
      return counter.monitor_ns.total();
    case StatSort::kP99:
      return counter.monitor_ns.quantile(0.99);
    case StatSort::kMax:
      return counter.monitor_ns.max();
    case StatSort::kName:
      return 0;
  }
  return 0;
}

struct Ranked {
  uint64_t weight = 0;
  std::string name;     // by which equals are sorted, if by names
  uint64_t number = 0;  // by which they are sorted then
  TimedCounter* counter = nullptr;
  ExitCounter* exit = nullptr;
  std::string text = {};  // of the row; empty: what the number says
};

void sort_ranked(std::vector<Ranked>& ranked) {
  std::ranges::sort(ranked, [](const Ranked& a, const Ranked& b) {
    return std::tie(b.weight, a.name, a.number) < std::tie(a.weight, b.name, b.number);
  });
}

bool adds_up(StatSort sort) {
  return sort == StatSort::kCount || sort == StatSort::kGuest || sort == StatSort::kMonitor;
}

// Memory that the monitor emulates, a screen's, has as many addresses as bytes. `sums` holds what
// stands for several.
void put_rare_ones_together(std::string_view word, const AddressMap& addresses, StatSort sort,
                            uint64_t weight_of_all, std::vector<Ranked>& keys,
                            std::deque<TimedCounter>& sums) {
  constexpr uint64_t kHundredth = 100;
  const auto rare = std::partition(keys.begin(), keys.end(), [&](const Ranked& key) {
    return key.weight > weight_of_all / kHundredth;
  });
  std::map<std::string, std::vector<Ranked>> by_place;
  for (auto key = rare; key != keys.end(); ++key)
    by_place[addresses.place_of(key->number)].push_back(std::move(*key));
  keys.erase(rare, keys.end());
  for (auto& [place, of_place] : by_place) {
    Ranked row = std::move(of_place.front());
    if (of_place.size() > 1) {
      TimedCounter& sum = sums.emplace_back();
      for (const Ranked& key : of_place) {
        sum.add(*key.counter);
        row.number = std::min(row.number, key.number);
      }
      row.text = fmt::format("{} {}, {} addresses", word, place, of_place.size());
      row.counter = &sum;
      row.weight = weight_of(sum, sort);
    }
    keys.push_back(std::move(row));
  }
}

StatRow row_of(std::optional<uint32_t> vcpu, std::string exit, std::string key,
               TimedCounter& counter) {
  return {vcpu,
          std::move(exit),
          std::move(key),
          counter.count,
          std::move(counter.guest_ns),
          std::move(counter.monitor_ns)};
}

}  // namespace

// Exits come in runs of a few reasons: the first ones are found soon.
ExitCounter& ExitCounters::of(uint32_t reason, int32_t error) {
  if (!reports_exit(reason, error)) reason = kLeftOver;
  for (auto& counter : counters_)
    if (counter->reason == reason && counter->error == error) return *counter;
  counters_.push_back(std::make_unique<ExitCounter>());
  counters_.back()->reason = reason;
  counters_.back()->error = error;
  return *counters_.back();
}

TimedCounter& ExitCounters::of_key(ExitCounter& counter, uint64_t key, size_t& room) {
  const auto found = counter.keys.find(key);
  if (found != counter.keys.end()) return found->second;
  if (room == 0) return counter.other_keys;
  --room;
  return counter.keys[key];
}

void ExitCounters::take_rows(Architecture architecture, const AddressMap& addresses,
                             const StatOptions& options, std::optional<uint32_t> vcpu,
                             std::vector<StatRow>& rows) {
  const StatSort sort = options.sort;
  std::vector<Ranked> exits;
  for (auto& counter : counters_) {
    const uint64_t number = uint64_t{counter->reason} << 32 | static_cast<uint32_t>(counter->error);
    exits.push_back({weight_of(counter->all, sort),
                     sort == StatSort::kName ? exit_label(counter->reason, counter->error) : "",
                     number, &counter->all, counter.get()});
  }
  sort_ranked(exits);
  for (Ranked& of_exit : exits) {
    const uint32_t reason = of_exit.exit->reason;
    const std::string exit = exit_label(reason, of_exit.exit->error);
    rows.push_back(row_of(vcpu, exit, "", *of_exit.counter));
    std::vector<Ranked> keys;
    for (auto& [key, counter] : of_exit.exit->keys)
      keys.push_back({weight_of(counter, sort), "", key, &counter, nullptr});
    const bool is_address = key_is_guest_address(reason);
    std::deque<TimedCounter> sums;
    if (is_address && adds_up(sort) && options.addresses_max != 0 &&
        keys.size() > options.addresses_max)
      put_rare_ones_together(key_word(reason), addresses, sort, of_exit.weight, keys, sums);
    sort_ranked(keys);
    for (Ranked& of_key : keys) {
      std::string key = of_key.text;
      if (key.empty()) {
        key = exit_key_text(architecture, reason, of_key.number);
        const std::string place = is_address ? addresses.name_of(of_key.number) : "";
        if (!place.empty()) key += " " + place;
      }
      rows.push_back(row_of(vcpu, exit, std::move(key), *of_key.counter));
    }
    if (of_exit.exit->other_keys.count != 0)
      rows.push_back(row_of(vcpu, exit, "others", of_exit.exit->other_keys));
  }
  counters_.clear();
}

}  // namespace kvmtape
