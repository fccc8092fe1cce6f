#include "analysis/diff/field_changes.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/exit_label.h"

namespace kvmtape {
namespace {

FieldSide side_of(const Field& field, const RawMoment& moment) {
  FieldSide side{true, field.validity, {}, {}, field.why};
  if (field.validity != Validity::kValid) return side;
  side.value_name = field.value_name;
  if (field.kind == FieldKind::kBytes)
    for (const uint8_t byte : raw_bytes(field, moment))
      fmt::format_to(std::back_inserter(side.text), "{:02x}", byte);
  else
    side.text = fmt::format("{:#x}", field.value);
  return side;
}

// What a side has where the field is not among those that are compared.
FieldSide other_side(const DecodedExit& decoded, const ComparedField& there) {
  if (there.in_answer && !decoded.has_answer)
    return {false, Validity::kAbsent, {}, {}, "no answer was recorded"};
  const Exit& exit = there.in_answer ? decoded.answer : decoded.exit;
  const RawMoment& moment = there.in_answer ? decoded.answer_moment : decoded.moment;
  const Field* field = exit.find(there.field->name, there.field->element);
  if (field == nullptr) return {};
  return side_of(*field, moment);
}

std::string name_of_field(const ComparedField& compared) {
  const Field& field = *compared.field;
  const std::string_view prefix = compared.in_answer ? "answer." : "";
  if (field.element < 0) return fmt::format("{}{}", prefix, field.name);
  return fmt::format("{}{}[{}]", prefix, field.name, field.element);
}

FieldSide text_side(std::string text) { return {true, Validity::kValid, std::move(text), {}, {}}; }

std::string errno_text(const DecodedExit& decoded) {
  const int32_t error = errno_of(decoded.moment.ret);
  return error == 0 ? "0" : errno_name(error);
}

FieldSide flags_side(const Exit& exit) {
  FieldSide side{true, exit.flags_validity, {}, {}, exit.flags_why};
  if (exit.flags_validity != Validity::kValid) return side;
  side.text = fmt::format("{:#x}", exit.flags);
  for (uint8_t i = 0; i < exit.flag_name_count; ++i)
    side.value_name += fmt::format("{}{}", i == 0 ? "" : " ", exit.flag_names[i]);
  return side;
}

bool is_change(const FieldSide& a, const FieldSide& b) {
  const bool valid_a = a.validity == Validity::kValid, valid_b = b.validity == Validity::kValid;
  return valid_a != valid_b || (valid_a && a.text != b.text);
}

class Changes {
 public:
  Changes(const ComparedExit& a, const KernelDifferences& kernels) : a_(a), kernels_(kernels) {}

  void add(std::string name, FieldSide a, FieldSide b, std::string_view place) {
    FieldChange change{std::move(name), std::move(a), std::move(b), {}};
    if (!place.empty())
      change.explained_by =
          kernels_.explaining(ChangePlace::at_field(a_.decoded.exit.reason, place));
    found_.push_back(std::move(change));
  }
  void add(const ComparedField& there, FieldSide a, FieldSide b) {
    add(name_of_field(there), std::move(a), std::move(b),
        there.in_answer ? std::string_view() : there.field->name);
  }

  std::vector<FieldChange> take() { return std::move(found_); }

 private:
  const ComparedExit& a_;
  const KernelDifferences& kernels_;
  std::vector<FieldChange> found_;
};

const RawMoment& moment_of(const DecodedExit& decoded, const ComparedField& compared) {
  return compared.in_answer ? decoded.answer_moment : decoded.moment;
}

}  // namespace

std::vector<FieldChange> field_changes(const ComparedExit& a, const ComparedExit& b,
                                       Normaliser& normaliser, const KernelDifferences& kernels) {
  Changes changes(a, kernels);
  const DecodedExit &in_a = a.decoded, &in_b = b.decoded;
  if (name_of(in_a) != name_of(in_b))
    changes.add("exit_reason", text_side(name_of(in_a)), text_side(name_of(in_b)), "exit_reason");
  if (in_a.moment.ret != in_b.moment.ret)
    changes.add("errno", text_side(errno_text(in_a)), text_side(errno_text(in_b)), {});
  if (normaliser.compares_field("flags"))
    if (FieldSide flags_a = flags_side(in_a.exit), flags_b = flags_side(in_b.exit);
        is_change(flags_a, flags_b))
      changes.add("flags", std::move(flags_a), std::move(flags_b), "flags");
  std::vector<ComparedField> fields_a, fields_b;
  normaliser.compared_fields(in_a, a.slots, fields_a);
  normaliser.compared_fields(in_b, b.slots, fields_b);
  const auto find = [](const std::vector<ComparedField>& fields, uint64_t name_hash) {
    return std::ranges::find(fields, name_hash, &ComparedField::name_hash);
  };
  for (const ComparedField& field : fields_a) {
    const auto there = find(fields_b, field.name_hash);
    FieldSide side_a = side_of(*field.field, moment_of(in_a, field));
    if (there == fields_b.end())
      changes.add(field, std::move(side_a), other_side(in_b, field));
    else if (there->value != field.value)
      changes.add(field, std::move(side_a), side_of(*there->field, moment_of(in_b, *there)));
  }
  for (const ComparedField& field : fields_b)
    if (find(fields_a, field.name_hash) == fields_a.end())
      changes.add(field, other_side(in_a, field), side_of(*field.field, moment_of(in_b, field)));
  return changes.take();
}

}  // namespace kvmtape
