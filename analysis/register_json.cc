// The registers that were taken with an exit, by name beside their bytes.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/exit_json.h"
#include "analysis/exit_label.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/one_register.h"
#include "replayer/struct_decoder.h"
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

// An entry of "fields", of a register that is not in a struct.
void write_register(JsonWriter& json, std::string_view name, uint64_t value, Validity validity,
                    std::string_view why) {
  json.key(name);
  json.begin_object();
  json.key("value");
  validity == Validity::kValid ? json.hex(value) : json.null();
  json.key("validity");
  json.string(to_string(validity));
  if (!why.empty()) {
    json.key(validity == Validity::kValid ? "note" : "why");
    json.string(why);
  }
  json.end_object();
}

// Pairs of a register's number and its value. What is not to be shown is zeroed in `bytes`.
void write_pairs(JsonWriter& json, const DecodeContext& context, RegisterSet set,
                 std::span<uint8_t> bytes) {
  json.key("fields");
  json.begin_object();
  for (; bytes.size() >= 2 * sizeof(uint64_t); bytes = bytes.subspan(2 * sizeof(uint64_t))) {
    const auto id = load<uint64_t>(bytes.data(), context.byte_order);
    const auto value = load<uint64_t>(bytes.data() + sizeof id, context.byte_order);
    if (set == RegisterSet::kMsrs) {
      write_register(json, msr_text(static_cast<uint32_t>(id)), value, Validity::kValid, {});
      continue;
    }
    const OneRegisterValue shown = decode_one_register(context, id, value);
    const bool valid = shown.validity == Validity::kValid;
    write_register(json, shown.name.empty() ? fmt::format("{:#x}", id) : std::string(shown.name),
                   shown.value, shown.validity, valid ? shown.note : shown.why);
    if (!valid) std::ranges::fill(bytes.subspan(sizeof id, sizeof value), uint8_t{0});
  }
  json.end_object();
}

}  // namespace

void write_register_set(JsonWriter& json, const DecodeContext& context, const SideRecord& record) {
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
  std::vector<uint8_t> raw;
  if (behind >= bytes && bytes != 0) {
    const auto recorded = record.payload.subspan(sizeof(RegistersRecord), bytes);
    raw.assign(recorded.begin(), recorded.end());
  }
  if (set == RegisterSet::kOneReg || set == RegisterSet::kMsrs) {
    write_pairs(json, context, set, raw);
  } else if (!raw.empty()) {
    const auto fields = decode_struct(context, struct_name(set), raw);
    if (fields)
      write_struct_fields(json, context.architecture, struct_name(set),
                          {.kvm_run = raw, .data = {}}, *fields);
  }
  json.key("bytes");
  json.bytes(raw);
  json.end_object();
}

}  // namespace kvmtape
