#include "analysis/explain/kept_exit.h"

namespace kvmtape {
namespace {

void copy(std::span<const uint8_t> from, std::vector<uint8_t>& to) {
  to.assign(from.begin(), from.end());
}

}  // namespace

void KeptExit::assign(const Item& item) {
  const RecordedExit& exit = *item.exit;
  place = {item.vcpu_index, exit.seq};
  time_ns = last_time_ns = item.time_ns;
  guest_ns = item.guest_ns;
  monitor_ns = item.monitor_ns;
  recorded = exit;
  copy(exit.kvm_run, kvm_run);
  copy(exit.data, data);
  copy(exit.answer_kvm_run, answer_kvm_run);
  copy(exit.answer_data, answer_data);
  key = more = lost_before = 0;
  last_seq = exit.seq;
  alternating = false;
}

RecordedExit KeptExit::recorded_exit() const {
  RecordedExit exit = recorded;
  exit.kvm_run = kvm_run;
  exit.data = data;
  exit.answer_kvm_run = answer_kvm_run;
  exit.answer_data = answer_data;
  return exit;
}

DecodedExit KeptExit::decoded(const ExitDecoder& decoder) const {
  DecodedExit all;
  decode_both(decoder, recorded_exit(), all);
  return all;
}

uint64_t fold_key(const DecodedExit& decoded) {
  uint64_t key = 0xcbf29ce484222325;  // FNV-1a's
  const auto mix = [&key](uint64_t value) { key = (key ^ value) * 0x100000001b3; };
  const Exit& exit = decoded.exit;
  mix(exit.reason_validity == Validity::kStale ? ~uint64_t{0} : exit.reason);
  mix(static_cast<uint32_t>(decoded.moment.ret));
  for (const Field& field : exit.all_fields()) {
    const bool in_header = field.name.find('.') == std::string_view::npos;
    if (in_header || field.validity != Validity::kValid || field.name.ends_with(".data") ||
        field.kind == FieldKind::kBytes)
      continue;
    mix(field.value);
  }
  return key;
}

std::optional<uint64_t> valid_field(const Exit& exit, std::string_view name, int element) {
  const Field* field = exit.find(name, element);
  if (field == nullptr || field->validity != Validity::kValid || field->kind == FieldKind::kBytes)
    return std::nullopt;
  return field->value;
}

std::span<const uint8_t> valid_bytes(const Exit& exit, const RawMoment& moment,
                                     std::string_view name) {
  const Field* field = exit.find(name);
  if (field == nullptr || field->validity != Validity::kValid) return {};
  return raw_bytes(*field, moment);
}

}  // namespace kvmtape
