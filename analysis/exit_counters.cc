#include "analysis/exit_counters.h"

#include <algorithm>
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
};

void sort_ranked(std::vector<Ranked>& ranked) {
  std::ranges::sort(ranked, [](const Ranked& a, const Ranked& b) {
    return std::tie(b.weight, a.name, a.number) < std::tie(a.weight, b.name, b.number);
  });
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

void ExitCounters::take_rows(Architecture architecture, const AddressMap& addresses, StatSort sort,
                             std::optional<uint32_t> vcpu, std::vector<StatRow>& rows) {
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
    sort_ranked(keys);
    for (Ranked& of_key : keys) {
      std::string key = exit_key_text(architecture, reason, of_key.number);
      const std::string place =
          key_is_guest_address(reason) ? addresses.name_of(of_key.number) : "";
      if (!place.empty()) key += " " + place;
      rows.push_back(row_of(vcpu, exit, std::move(key), *of_key.counter));
    }
    if (of_exit.exit->other_keys.count != 0)
      rows.push_back(row_of(vcpu, exit, "others", of_exit.exit->other_keys));
  }
  counters_.clear();
}

}  // namespace kvmtape
