#include "analysis/explain/registers.h"

#include <fmt/format.h>

#include <algorithm>

#include "replayer/struct_decoder.h"

namespace kvmtape {
namespace {

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

void RegisterBytes::put(RegisterOrigin origin, std::optional<Place> exit,
                        const RegistersView& record, ByteOrder order) {
  Part& part = parts[record.set];
  if (part.origin != origin || part.exit != exit) part = {origin, exit, {}};
  part.contents.join(record, order);
}

void Registers::put(std::string_view name, uint64_t value) {
  values_.emplace_back(std::string(name), value);
}

Registers::Registers(const DecodeContext& context, const RegisterBytes& bytes) {
  bool first = true;
  for (const auto& [set, part] : bytes.parts) {
    if (part.contents.status != RegisterStatus::kTaken)
      missing_.push_back(
          fmt::format("{}: {}", struct_name(set), status_text(part.contents.status)));
    if (part.contents.bytes.empty()) continue;
    // The general registers say when; the others are of the same moment or older.
    if (first || set == RegisterSet::kRegs || set == RegisterSet::kOneReg) {
      origin_ = part.origin;
      exit_ = part.exit;
      first = false;
    }
    for (const RegisterValue& shown : values_of(context, set, part.contents))
      if (shown.validity == Validity::kValid && shown.is_number && shown.element <= 0)
        put(shown.name, shown.value);
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
