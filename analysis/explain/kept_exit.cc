#include "analysis/explain/kept_exit.h"

#include <algorithm>

#include "analysis/hash.h"

namespace kvmtape {
namespace {

// Without those of the header of kvm_run, which are of the vCPU and come first.
std::span<const Field> fields_of_exit(const Exit& exit) {
  const auto fields = exit.all_fields();
  const auto is_of_exit = [](const Field& field) {
    return field.name.find('.') != std::string_view::npos;
  };
  return {std::ranges::find_if(fields, is_of_exit), fields.end()};
}

}  // namespace

DecodedExit decode_owned(const ExitDecoder& decoder, const OwnedExit& exit) {
  DecodedExit all;
  decode_both(decoder, exit.exit(), all);
  return all;
}

void KeptExit::assign(const Item& item) {
  place = {item.vcpu_index, item.exit->seq};
  time_ns = last_time_ns = item.time_ns;
  guest_ns = item.guest_ns;
  monitor_ns = item.monitor_ns;
  bytes.assign(*item.exit);
  key = carried = last_carried = more = lost_before = 0;
  last_seq = item.exit->seq;
  are_alike = true;
  alternating = false;
}

void KeptExit::fold(const Item& item, uint64_t contents) {
  ++more;
  last_seq = item.exit->seq;
  last_time_ns = item.time_ns;
  if (contents != carried) are_alike = false;
  // Copied for each that differs: nobody knows which is the last.
  if (!are_alike && contents != last_carried) last_bytes.assign(*item.exit);
  last_carried = contents;
}

const OwnedExit* KeptExit::bytes_of(uint64_t seq) const {
  if (seq == place.seq || are_alike) return &bytes;
  return seq == last_seq ? &last_bytes : nullptr;
}

uint64_t fold_key(const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  const bool stale = exit.reason_validity == Validity::kStale;
  uint64_t key = mix(stale ? ~uint64_t{0} : exit.reason, static_cast<uint32_t>(decoded.moment.ret));
  for (const Field& field : fields_of_exit(exit))
    if (field.validity == Validity::kValid && !field.name.ends_with(".data") &&
        field.kind != FieldKind::kBytes)
      key = mix(key, field.value);
  return key;
}

uint64_t contents_key(const DecodedExit& decoded) {
  uint64_t key = decoded.has_answer ? 1 : 0;
  const auto mix_in = [&key](const Exit& exit, const RawMoment& moment) {
    for (const Field& field : fields_of_exit(exit))
      if (field.validity == Validity::kValid)
        key = mix(key, field.kind == FieldKind::kBytes ? hash_bytes(raw_bytes(field, moment))
                                                       : field.value);
  };
  mix_in(decoded.exit, decoded.moment);
  if (decoded.has_answer) mix_in(decoded.answer, decoded.answer_moment);
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
