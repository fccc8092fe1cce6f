// What stands between exits: gaps, repeats, marks, and the registers that were taken with one.
#include "analysis/exit_json.h"

#include <string_view>

#include "analysis/exit_label.h"
#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

std::string_view struct_name(RegisterSet set) {
  switch (set) {
    case RegisterSet::kDebugRegs:
      return "kvm_debugregs";
    case RegisterSet::kRegs:
      return "kvm_regs";
    case RegisterSet::kSregs:
      return "kvm_sregs";
    case RegisterSet::kVcpuEvents:
      return "kvm_vcpu_events";
    case RegisterSet::kOneReg:
      return "kvm_one_reg";
    case RegisterSet::kGuestDebug:
      return "kvm_guest_debug";
    case RegisterSet::kMpState:
      return "kvm_mp_state";
    case RegisterSet::kXcrs:
      return "kvm_xcrs";
    case RegisterSet::kMsrs:
      return "kvm_msrs";
  }
  return "unknown";
}

std::string_view status_name(RegisterStatus status) {
  switch (status) {
    case RegisterStatus::kTaken:
      return "taken";
    case RegisterStatus::kRefused:
      return "refused";
    case RegisterStatus::kNotTaken:
      return "not taken: seccomp";
    case RegisterStatus::kTruncated:
      return "truncated";
    case RegisterStatus::kRedacted:
      return "redacted";
  }
  return "unknown";
}

}  // namespace

void write_register_set(JsonWriter& json, const SideRecord& record) {
  ByteCursor cursor(record.payload);
  const auto set = static_cast<RegisterSet>(cursor.read<uint16_t>());
  const auto status = static_cast<RegisterStatus>(cursor.read<uint16_t>());
  const auto error = cursor.read<uint32_t>();
  const auto bytes = cursor.read<uint32_t>();
  const size_t behind = record.payload.size() < sizeof(RegistersRecord)
                            ? 0
                            : record.payload.size() - sizeof(RegistersRecord);
  json.key(struct_name(set));
  json.begin_object();
  json.key("status");
  json.string(status_name(status));
  if (status == RegisterStatus::kRefused) {
    json.key("errno");
    json.string(errno_name(static_cast<int32_t>(error)));
  }
  json.key("bytes");
  json.bytes(behind < bytes ? std::span<const uint8_t>{}
                            : record.payload.subspan(sizeof(RegistersRecord), bytes));
  json.end_object();
}

void write_gap(JsonWriter& json, const Item& item) {
  json.begin_object();
  json.key("vcpu");
  json.number(item.vcpu_index);
  json.key("gap");
  json.begin_object();
  json.key("lost");
  json.number(item.gap.lost);
  json.key("first_seq");
  json.number(item.gap.first_seq);
  json.key("last_seq");
  json.number(item.gap.first_seq + item.gap.lost - (item.gap.lost == 0 ? 0 : 1));
  json.key("why");
  json.string(to_string(item.gap.why));
  json.end_object();
  json.end_object();
}

void write_repeat(JsonWriter& json, const Item& item, const TraceReader& reader) {
  const RepeatRecord& repeat = item.repeat;
  json.begin_object();
  json.key("vcpu");
  json.number(item.vcpu_index);
  json.key("repeat");
  json.begin_object();
  json.key("of");
  json.number(repeat.of_seq);
  json.key("count");
  json.number(repeat.count);
  json.key("last_seq");
  json.number(repeat.of_seq + repeat.count);
  json.key("first_ns");
  json.number(reader.time_ns(repeat.first_tsc));
  json.key("last_ns");
  json.number(reader.time_ns(repeat.last_tsc));
  json.key("monitor_ns");
  json.begin_object();
  json.key("min");
  json.number(reader.ticks_to_ns(repeat.monitor_ticks_min));
  json.key("max");
  json.number(reader.ticks_to_ns(repeat.monitor_ticks_max));
  json.end_object();
  json.end_object();
  json.end_object();
}

void write_mark(JsonWriter& json, const Item& item) {
  json.begin_object();
  json.key("mark");
  json.string(item.mark);
  json.key("time_ns");
  json.number(item.time_ns);
  json.end_object();
}

}  // namespace kvmtape
