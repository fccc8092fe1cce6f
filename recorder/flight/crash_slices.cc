#include "recorder/flight/crash_slices.h"

#include <algorithm>

namespace kvmtape {

CrashSlices::CrashSlices(const RingHeader& ring, Architecture architecture,
                         const GuestRegions& regions)
    : memory_(ring, architecture), regions_(regions) {}

void CrashSlices::look(std::span<const uint64_t> record) {
  if (!memory_.look(record)) return;
  Taken taken{time_of_record(record), {}};
  memory_.take(regions_, taken.slices);
  if (!taken.slices.empty()) taken_.push_back(std::move(taken));
}

std::vector<uint64_t> CrashSlices::put_into(std::span<const uint64_t> records) const {
  std::vector<uint64_t> all;
  all.reserve(records.size());
  for (auto record = take_record(records); !record.empty(); record = take_record(records)) {
    all.insert(all.end(), record.begin(), record.end());
    if (!brings_last_registers(record)) continue;
    const auto taken = std::ranges::find(taken_, time_of_record(record), &Taken::time);
    if (taken != taken_.end()) all.insert(all.end(), taken->slices.begin(), taken->slices.end());
  }
  all.insert(all.end(), records.begin(), records.end());  // no record: the encoder sees it too
  return all;
}

}  // namespace kvmtape
