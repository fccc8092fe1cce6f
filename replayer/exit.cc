#include "replayer/exit.h"

#include <algorithm>

#include "replayer/exit_decoder.h"

namespace kvmtape {

std::string_view to_string(Validity validity) {
  switch (validity) {
    case Validity::kValid:
      return "valid";
    case Validity::kStale:
      return "stale";
    case Validity::kAbsent:
      return "absent";
    case Validity::kUnknown:
      break;
  }
  return "unknown";
}

std::span<const uint8_t> raw_bytes(const Field& field, const RawMoment& moment) {
  const std::span<const uint8_t> all = field.in_data ? moment.data : moment.kvm_run;
  const size_t offset = std::min<size_t>(field.offset, all.size());
  if (field.bytes > all.size() - offset) return {};
  return all.subspan(offset, field.bytes);
}

}  // namespace kvmtape
