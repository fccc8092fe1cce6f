#include "analysis/control_call.h"

#include <algorithm>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

std::optional<ControlCall> control_call_of(const SideRecord& record, RedactionProfile redaction) {
  if (record.kind != RecordKind::kControlCall) return std::nullopt;
  ByteCursor cursor(record.payload);
  ControlCall call;
  call.descriptor = static_cast<DescriptorKind>(cursor.read<uint32_t>());
  call.request = cursor.read<uint32_t>();
  const auto argument = cursor.read<uint64_t>();
  if (keeps(redaction, sensitivity_of_argument(call.request))) call.argument = argument;
  call.vcpu_id = cursor.read<uint32_t>();
  call.result = static_cast<int32_t>(cursor.read<uint32_t>());
  call.error = cursor.read<uint32_t>();
  const size_t in_bytes = cursor.read<uint32_t>();
  const size_t out_bytes = cursor.read<uint32_t>();
  if (!cursor.ok() || record.payload.size() < sizeof(ControlCallRecord)) return std::nullopt;
  std::span<const uint8_t> rest = record.payload.subspan(sizeof(ControlCallRecord));
  call.in = rest.first(std::min(in_bytes, rest.size()));
  const size_t padded = (in_bytes + kWordBytes - 1) / kWordBytes * kWordBytes;
  rest = rest.subspan(std::min(padded, rest.size()));
  call.out = rest.first(std::min(out_bytes, rest.size()));
  return call;
}

}  // namespace kvmtape
