#include "analysis/register_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "analysis/exit_label.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/one_register.h"
#include "replayer/raw_moment.h"
#include "replayer/struct_decoder.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr size_t kPairBytes = 2 * sizeof(uint64_t);

std::string why_without(const RegisterSetContents::Without& without) {
  if (without.status == RegisterStatus::kRefused)
    return fmt::format("the kernel refused it: {}",
                       errno_name(static_cast<int32_t>(without.error)));
  return "withheld: what the kernel gave is not this register's";
}

RegisterValue pair_value(const DecodeContext& context, RegisterSet set, uint64_t id,
                         uint64_t value) {
  RegisterValue shown{.id = id, .value = value};
  if (set == RegisterSet::kMsrs) {
    shown.name = msr_text(static_cast<uint32_t>(id));
  } else {
    const OneRegisterValue decoded = decode_one_register(context, id, value);
    const bool valid = decoded.validity == Validity::kValid;
    shown.name = decoded.name.empty() ? fmt::format("{:#x}", id) : std::string(decoded.name);
    shown.validity = decoded.validity;
    shown.value = decoded.value;
    shown.why = valid ? decoded.note : decoded.why;
  }
  if (shown.validity == Validity::kValid) shown.text = fmt::format("{:#x}", shown.value);
  return shown;
}

std::vector<RegisterValue> values_of_pairs(const DecodeContext& context, RegisterSet set,
                                           const RegisterSetContents& contents) {
  std::vector<RegisterValue> values;
  std::unordered_set<uint64_t> known;
  std::span<const uint8_t> left = contents.bytes;
  for (; left.size() >= kPairBytes; left = left.subspan(kPairBytes)) {
    const auto id = load<uint64_t>(left.data(), context.byte_order);
    const auto value = load<uint64_t>(left.data() + sizeof id, context.byte_order);
    if (known.insert(id).second) values.push_back(pair_value(context, set, id, value));
  }
  for (const RegisterSetContents::Without& without : contents.without) {
    if (!known.insert(without.id).second) continue;
    RegisterValue none = pair_value(context, set, without.id, 0);
    none.validity =
        without.status == RegisterStatus::kRefused ? Validity::kAbsent : Validity::kUnknown;
    none.value = 0;
    none.text.clear();
    none.why = why_without(without);
    values.push_back(std::move(none));
  }
  return values;
}

RegisterValue struct_value(const Field& field, std::span<const uint8_t> bytes) {
  RegisterValue shown{.name = std::string(field.name),
                      .element = field.element,
                      .validity = field.validity,
                      .is_number = field.kind != FieldKind::kBytes,
                      .why = std::string(field.why)};
  if (field.validity != Validity::kValid) return shown;
  if (shown.is_number) {
    shown.value = field.value;
    shown.text = fmt::format("{:#x}", field.value);
  } else {
    for (const uint8_t byte : raw_bytes(field, {.kvm_run = bytes, .data = {}}))
      fmt::format_to(std::back_inserter(shown.text), "{:02x}", byte);
  }
  return shown;
}

}  // namespace

std::optional<RegistersView> registers_view(const SideRecord& record) {
  ByteCursor cursor(record.payload);
  RegistersView view;
  view.set = static_cast<RegisterSet>(cursor.read<uint16_t>());
  view.status = static_cast<RegisterStatus>(cursor.read<uint16_t>());
  view.error = cursor.read<uint32_t>();
  const auto bytes = cursor.read<uint32_t>();
  cursor.read<uint32_t>();
  if (!cursor.ok()) return std::nullopt;
  if (bytes <= cursor.remaining()) view.bytes = cursor.take(bytes);
  return view;
}

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

void RegisterSetContents::join(const RegistersView& record, ByteOrder order) {
  const bool is_first = bytes.empty() && without.empty();
  if (!is_of_pairs(record.set) || (is_first && record.bytes.empty())) {
    status = record.status;
    error = record.error;
    bytes.assign(record.bytes.begin(), record.bytes.end());
    return;
  }
  if (record.status == RegisterStatus::kTaken) {
    status = RegisterStatus::kTaken;
    error = 0;
    bytes.insert(bytes.end(), record.bytes.begin(), record.bytes.end());
    return;
  }
  if (is_first) {
    status = record.status;
    error = record.error;
  }
  for (auto ids = record.bytes; ids.size() >= sizeof(uint64_t); ids = ids.subspan(sizeof(uint64_t)))
    without.push_back({load<uint64_t>(ids.data(), order), record.status, record.error});
}

std::vector<RegisterValue> values_of(const DecodeContext& context, RegisterSet set,
                                     const RegisterSetContents& contents) {
  if (is_of_pairs(set)) return values_of_pairs(context, set, contents);
  std::vector<RegisterValue> values;
  if (contents.bytes.empty()) return values;
  const auto fields = decode_struct(context, struct_name(set), contents.bytes);
  if (!fields.ok()) return values;
  for (const Field& field : *fields) values.push_back(struct_value(field, contents.bytes));
  return values;
}

std::vector<uint8_t> shown_bytes(const DecodeContext& context, RegisterSet set,
                                 const RegisterSetContents& contents) {
  std::vector<uint8_t> bytes = contents.bytes;
  if (set != RegisterSet::kOneReg) return bytes;
  for (std::span<uint8_t> left = bytes; left.size() >= kPairBytes;
       left = left.subspan(kPairBytes)) {
    const auto id = load<uint64_t>(left.data(), context.byte_order);
    const auto value = load<uint64_t>(left.data() + sizeof id, context.byte_order);
    if (decode_one_register(context, id, value).validity != Validity::kValid)
      std::ranges::fill(left.subspan(sizeof id, sizeof value), uint8_t{0});
  }
  return bytes;
}

}  // namespace kvmtape
