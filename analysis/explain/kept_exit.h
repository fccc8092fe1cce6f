// A recorded exit that outlives the walk, with those like it that followed at once: a window of the
// last ones is what a report can show of a long recording. Owns its bytes. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/explain/finding.h"
#include "replayer/owned_exit.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

DecodedExit decode_owned(const ExitDecoder& decoder, const OwnedExit& exit);

struct KeptExit {
  Place place;
  int64_t time_ns = 0;
  std::optional<int64_t> guest_ns;
  std::optional<int64_t> monitor_ns;
  OwnedExit bytes;

  // Folded: exits that ask for the same thing (fold_key), whatever the data.
  uint64_t key = 0;
  uint64_t carried = 0;       // contents_key() of this one
  uint64_t last_carried = 0;  // and of the last of them
  bool are_alike = true;      // all of them carried the same and were answered alike
  OwnedExit last_bytes;       // of the last of them, unless are_alike
  uint64_t more = 0;          // beside this one
  uint64_t last_seq = 0;      // of them
  int64_t last_time_ns = 0;   // of them
  bool alternating = false;   // others stand between them, which follow in the window

  uint64_t lost_before = 0;  // exits missing in front of it
  GapReason lost_why{};

  void assign(const Item& item);
  void fold(const Item& item, uint64_t contents);
  const RecordedExit& recorded_exit() const { return bytes.exit(); }
  DecodedExit decoded(const ExitDecoder& decoder) const { return decode_owned(decoder, bytes); }
  // Of this one or of one that is folded into it; nullptr: that one's are not kept.
  const OwnedExit* bytes_of(uint64_t seq) const;
};

// Equal for exits with the same reason, errno and valid fields, but for the data.
uint64_t fold_key(const DecodedExit& decoded);
// Equal for exits that carry the same data as well and were answered alike.
uint64_t contents_key(const DecodedExit& decoded);

// nullopt unless the field is there and may be believed.
std::optional<uint64_t> valid_field(const Exit& exit, std::string_view name, int element = -1);
// The bytes of a valid field at its moment; empty where there are none.
std::span<const uint8_t> valid_bytes(const Exit& exit, const RawMoment& moment,
                                     std::string_view name);

}  // namespace kvmtape
