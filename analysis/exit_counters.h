// The counters behind `stat`: one for each exit, and below it one for each key, until they become
// sorted rows. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/address_map.h"
#include "analysis/histogram.h"
#include "analysis/stat.h"

namespace kvmtape {

// Of one count: about 10 kB each where times are spread wide.
inline constexpr size_t kStatKeysMax = 8192;

struct TimedCounter {
  uint64_t count = 0;
  Histogram guest_ns, monitor_ns;

  // A clock that jumped back took no time.
  void add(std::optional<int64_t> guest, std::optional<int64_t> monitor) {
    ++count;
    if (guest) guest_ns.add(*guest < 0 ? 0 : static_cast<uint64_t>(*guest));
    if (monitor) monitor_ns.add(*monitor < 0 ? 0 : static_cast<uint64_t>(*monitor));
  }
  void add(const TimedCounter& other) {
    count += other.count;
    guest_ns.add(other.guest_ns);
    monitor_ns.add(other.monitor_ns);
  }
};

struct ExitCounter {
  uint32_t reason = 0;
  int32_t error = 0;
  TimedCounter all;
  std::unordered_map<uint64_t, TimedCounter> keys;
  TimedCounter other_keys;
};

// Of one vCPU, or of all.
class ExitCounters {
 public:
  ExitCounter& of(uint32_t reason, int32_t error);
  // `room` is how many new keys there may be; without any they are counted together.
  static TimedCounter& of_key(ExitCounter& counter, uint64_t key, size_t& room);

  // Appends them to `rows`, and is empty.
  void take_rows(Architecture architecture, const AddressMap& addresses, const StatOptions& options,
                 std::optional<uint32_t> vcpu, std::vector<StatRow>& rows);

 private:
  std::vector<std::unique_ptr<ExitCounter>> counters_;
};

}  // namespace kvmtape
