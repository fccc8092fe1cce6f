#include "analysis/diff/field_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "analysis/exit_label.h"
#include "replayer/flag_bits.h"
#include "replayer/load_integer.h"

namespace kvmtape {
namespace {

using Of = FieldDifference::Of;

const RawMoment& moment_of(const DecodedExit& decoded, bool in_answer) {
  return in_answer ? decoded.answer_moment : decoded.moment;
}

Validity validity_of(const Field* field) {
  return field == nullptr ? Validity::kAbsent : field->validity;
}

FieldSide text_side(std::string text) { return {true, Validity::kValid, std::move(text), {}, {}}; }

std::string errno_text(const DecodedExit& decoded) {
  const int32_t error = errno_of(decoded.moment.ret);
  return error == 0 ? "0" : errno_name(error);
}

FieldSide flags_side(const Exit& exit) {
  FieldSide side{true, exit.flags_validity, {}, {}, std::string(exit.flags_why)};
  if (exit.flags_validity != Validity::kValid) return side;
  side.text = fmt::format("{:#x}", exit.flags);
  for (uint8_t i = 0; i < exit.flag_name_count; ++i)
    side.value_name += fmt::format("{}{}", i == 0 ? "" : "|", exit.flag_names[i]);
  return side;
}

FieldSide side_of(Architecture architecture, const Field* field, const ComparedExit& exit,
                  bool in_answer) {
  const DecodedExit& decoded = exit.decoded;
  if (field == nullptr && in_answer && !decoded.has_answer)
    return {false, Validity::kAbsent, {}, {}, "no answer was recorded"};
  if (field == nullptr) return {};
  FieldSide side{true, field->validity, {}, {}, std::string(field->why)};
  if (field->validity != Validity::kValid) return side;
  side.value_name = field->value_name.empty() ? flag_bits_text(architecture, *field)
                                              : std::string(field->value_name);
  if (field->kind == FieldKind::kBytes)
    for (const uint8_t byte : raw_bytes(*field, moment_of(decoded, in_answer)))
      fmt::format_to(std::back_inserter(side.text), "{:02x}", byte);
  else
    side.text = fmt::format("{:#x}", field->value);
  if (exit.addresses.symbols != nullptr && is_virtual_address(field->name))
    side.value_name = exit.addresses.symbols->at(field->value);
  return side;
}

// The field of the other exit where it is not among those that are compared.
const Field* same_field(const DecodedExit& decoded, const ComparedField& there) {
  if (there.in_answer && !decoded.has_answer) return nullptr;
  const Exit& exit = there.in_answer ? decoded.answer : decoded.exit;
  return exit.find(there.field->name, there.field->element);
}

bool flags_differ(const Exit& a, const Exit& b) {
  const bool valid_a = a.flags_validity == Validity::kValid;
  const bool valid_b = b.flags_validity == Validity::kValid;
  return valid_a != valid_b || (valid_a && a.flags != b.flags);
}

// mmio.data and its like: the bytes are an integer of the guest.
bool is_sign_extended(const FieldDifference& difference, const DecodedExit& a, const DecodedExit& b,
                      ByteOrder order) {
  if (validity_of(difference.a) != Validity::kValid ||
      validity_of(difference.b) != Validity::kValid)
    return false;
  const auto bytes_a = raw_bytes(*difference.a, moment_of(a, difference.in_answer));
  const auto bytes_b = raw_bytes(*difference.b, moment_of(b, difference.in_answer));
  if (bytes_a.size() != bytes_b.size() || bytes_a.size() > sizeof(uint64_t)) return false;
  return differs_by_sign(load_integer(bytes_a.data(), bytes_a.size(), order),
                         load_integer(bytes_b.data(), bytes_b.size(), order), bytes_a.size());
}

}  // namespace

std::string_view FieldDifference::name() const {
  switch (of) {
    case Of::kReason:
      return "exit_reason";
    case Of::kErrno:
      return "errno";
    case Of::kFlags:
      return "flags";
    case Of::kField:
      break;
  }
  return a != nullptr ? a->name : b->name;
}

void find_differences(const ComparedExit& a, const ComparedExit& b, Normaliser& normaliser,
                      const KernelDifferences& kernels, std::vector<FieldDifference>& found) {
  const DecodedExit &in_a = a.decoded, &in_b = b.decoded;
  found.clear();
  if (!same_name(in_a, in_b)) found.push_back({.of = Of::kReason, .explained_by = {}});
  if (in_a.moment.ret != in_b.moment.ret) found.push_back({.of = Of::kErrno, .explained_by = {}});
  if (normaliser.compares_field("flags") && flags_differ(in_a.exit, in_b.exit))
    found.push_back({.of = Of::kFlags, .explained_by = {}});
  const auto fields_a = normaliser.compared_fields(in_a, a.addresses, 0);
  const auto fields_b = normaliser.compared_fields(in_b, b.addresses, 1);
  const auto find = [](std::span<const ComparedField> fields, uint64_t name_hash) {
    return std::ranges::find(fields, name_hash, &ComparedField::name_hash);
  };
  for (const ComparedField& field : fields_a) {
    const auto there = find(fields_b, field.name_hash);
    if (there == fields_b.end())
      found.push_back({Of::kField, field.in_answer, field.field, same_field(in_b, field), {}});
    else if (there->value != field.value)
      found.push_back({Of::kField, field.in_answer, field.field, there->field, {}});
  }
  for (const ComparedField& field : fields_b)
    if (find(fields_a, field.name_hash) == fields_a.end())
      found.push_back({Of::kField, field.in_answer, same_field(in_a, field), field.field, {}});
  if (kernels.all().empty()) return;
  for (FieldDifference& difference : found) {
    if (difference.of == Of::kErrno || difference.in_answer) continue;
    const bool by_sign = is_sign_extended(difference, in_a, in_b, normaliser.byte_order());
    difference.explained_by =
        kernels.explaining(ChangePlace::at_field(in_a.exit.reason, difference.name()),
                           {&in_a.exit, &in_b.exit, by_sign, a.guest});
  }
}

uint64_t kind_of(const FieldDifference& difference, const DecodedExit& a, const DecodedExit& b) {
  const bool flags = difference.of == Of::kFlags, field = difference.of == Of::kField;
  const Validity in_a = flags ? a.exit.flags_validity : validity_of(difference.a);
  const Validity in_b = flags ? b.exit.flags_validity : validity_of(difference.b);
  const Field* any = difference.a != nullptr ? difference.a : difference.b;
  const auto element = static_cast<uint16_t>(field ? any->element : -1);
  return std::hash<std::string_view>()(difference.name()) ^
         (uint64_t{element} << 24 | static_cast<uint64_t>(in_a) << 16 |
          static_cast<uint64_t>(in_b) << 8 | static_cast<uint64_t>(difference.in_answer));
}

FieldChange described(const FieldDifference& difference, Architecture architecture,
                      const ComparedExit& a, const ComparedExit& b) {
  const auto change = [&](FieldSide in_a, FieldSide in_b) {
    std::string name =
        fmt::format("{}{}", difference.in_answer ? "answer." : "", difference.name());
    const Field* any = difference.a != nullptr ? difference.a : difference.b;
    if (difference.of == Of::kField && any->element >= 0) name += fmt::format("[{}]", any->element);
    return FieldChange{std::move(name), std::move(in_a), std::move(in_b), difference.explained_by};
  };
  switch (difference.of) {
    case Of::kReason:
      return change(text_side(name_of(a.decoded)), text_side(name_of(b.decoded)));
    case Of::kErrno:
      return change(text_side(errno_text(a.decoded)), text_side(errno_text(b.decoded)));
    case Of::kFlags:
      return change(flags_side(a.decoded.exit), flags_side(b.decoded.exit));
    case Of::kField:
      break;
  }
  return change(side_of(architecture, difference.a, a, difference.in_answer),
                side_of(architecture, difference.b, b, difference.in_answer));
}

}  // namespace kvmtape
