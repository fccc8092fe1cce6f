#include "analysis/explain/registers.h"

#include <fmt/format.h>

#include <algorithm>

#include "replayer/one_register.h"
#include "replayer/struct_decoder.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

std::string_view struct_name(RegisterSet set) {
  switch (set) {
    case RegisterSet::kRegs:
      return "kvm_regs";
    case RegisterSet::kSregs:
      return "kvm_sregs";
    case RegisterSet::kVcpuEvents:
      return "kvm_vcpu_events";
    case RegisterSet::kDebugRegs:
      return "kvm_debugregs";
    case RegisterSet::kGuestDebug:
      return "kvm_guest_debug";
    default:
      return {};
  }
}

std::string_view status_text(RegisterStatus status) {
  switch (status) {
    case RegisterStatus::kRefused:
      return "the kernel refused them";
    case RegisterStatus::kNotTaken:
      return "not taken: a seccomp filter may be active";
    case RegisterStatus::kTruncated:
      return "more than a record holds";
    case RegisterStatus::kRedacted:
      return "redacted";
    case RegisterStatus::kTaken:
      break;
  }
  return {};
}

}  // namespace

void RegisterBytes::put(RegisterSet set, RegisterOrigin origin, std::optional<Place> exit,
                        std::span<const uint8_t> bytes, RegisterStatus status) {
  Part& part = parts[set];
  part.status = status;
  part.origin = origin;
  part.exit = exit;
  part.bytes.assign(bytes.begin(), bytes.end());
}

void Registers::put(std::string_view name, uint64_t value) {
  values_.emplace_back(std::string(name), value);
}

Registers::Registers(const DecodeContext& context, const RegisterBytes& bytes) {
  bool first = true;
  for (const auto& [set, part] : bytes.parts) {
    const std::string_view name = struct_name(set);
    if (part.status != RegisterStatus::kTaken && !name.empty())
      missing_.push_back(fmt::format("{}: {}", name, status_text(part.status)));
    if (part.bytes.empty()) continue;
    // The general registers say when; the others are of the same moment or older.
    if (first || set == RegisterSet::kRegs || set == RegisterSet::kOneReg) {
      origin_ = part.origin;
      exit_ = part.exit;
      first = false;
    }
    if (set == RegisterSet::kOneReg) {
      for (std::span<const uint8_t> left = part.bytes; left.size() >= 16; left = left.subspan(16)) {
        const auto id = load<uint64_t>(left.data(), context.byte_order);
        const auto value = load<uint64_t>(left.data() + 8, context.byte_order);
        const OneRegisterValue shown = decode_one_register(context, id, value);
        if (!shown.name.empty() && shown.validity == Validity::kValid) put(shown.name, shown.value);
      }
      continue;
    }
    if (name.empty()) continue;
    const auto fields = decode_struct(context, name, part.bytes);
    if (!fields.ok()) continue;
    for (const Field& field : *fields)
      if (field.validity == Validity::kValid && field.kind != FieldKind::kBytes &&
          field.element <= 0)
        put(field.name, field.value);
  }
}

Registers::Registers(const DecodeContext& context, const RawMoment& moment, Place exit)
    : origin_(RegisterOrigin::kSyncArea), exit_(exit) {
  for (const Field& field : decode_sync_regs(context, moment)) {
    if (field.validity != Validity::kValid || field.kind == FieldKind::kBytes || field.element > 0)
      continue;
    const size_t point = field.name.find('.');
    const std::string_view group = field.name.substr(0, point);
    if (group != "regs" && group != "sregs" && group != "events") continue;
    put(field.name.substr(point + 1), field.value);
  }
}

std::optional<uint64_t> Registers::get(std::string_view name) const {
  for (const auto& [known, value] : values_)
    if (known == name) return value;
  return std::nullopt;
}

bool Registers::has(std::initializer_list<std::string_view> names) const {
  return std::ranges::all_of(names, [&](std::string_view name) { return get(name).has_value(); });
}

std::string Registers::origin_text() const {
  const std::string exit = exit_ ? to_string(*exit_) : std::string();
  switch (origin_) {
    case RegisterOrigin::kWithExit:
      return "taken with " + exit;
    case RegisterOrigin::kSyncArea:
      return "handed over with " + exit;
    case RegisterOrigin::kSetByMonitor:
      return exit_ ? "set by the monitor after " + exit
                   : "set by the monitor before the first exit";
    case RegisterOrigin::kReadByMonitor:
      break;
  }
  return exit_ ? "read by the monitor after " + exit : "read by the monitor before the first exit";
}

bool is_x86_reset_state(const Registers& registers) {
  constexpr uint64_t kResetRip = 0xfff0, kResetCsBase = 0xffff0000, kProtected = 1;
  const auto rip = registers.get("rip"), base = registers.get("cs.base"),
             cr0 = registers.get("cr0");
  if (rip && *rip != kResetRip) return false;
  if (base && *base != kResetCsBase) return false;
  if (cr0 && (*cr0 & kProtected) != 0) return false;
  return rip.has_value() || base.has_value();
}

}  // namespace kvmtape
