// A recorded exit that outlives the walk, with those like it that followed at once: a window of the
// last ones is what a report can show of a long recording. Owns its bytes. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/explain/finding.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

struct KeptExit {
  Place place;
  int64_t time_ns = 0;
  std::optional<int64_t> guest_ns;
  std::optional<int64_t> monitor_ns;
  RecordedExit recorded;  // its spans lead into the vectors below: use recorded_exit()
  std::vector<uint8_t> kvm_run, data, answer_kvm_run, answer_data;

  // Folded: exits that ask for the same thing (fold_key), whatever the data.
  uint64_t key = 0;
  uint64_t more = 0;         // beside this one
  uint64_t last_seq = 0;     // of them
  int64_t last_time_ns = 0;  // of them
  bool alternating = false;  // others stand between them, which follow in the window

  uint64_t lost_before = 0;  // exits missing in front of it
  GapReason lost_why{};

  void assign(const Item& item);
  RecordedExit recorded_exit() const;
  DecodedExit decoded(const ExitDecoder& decoder) const;  // lives as long as this exit
};

// Equal for exits with the same reason, errno and valid fields, but for the data.
uint64_t fold_key(const DecodedExit& decoded);

// nullopt unless the field is there and may be believed.
std::optional<uint64_t> valid_field(const Exit& exit, std::string_view name, int element = -1);
// The bytes of a valid field at its moment; empty where there are none.
std::span<const uint8_t> valid_bytes(const Exit& exit, const RawMoment& moment,
                                     std::string_view name);

}  // namespace kvmtape
