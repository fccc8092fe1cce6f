#include "analysis/diff/register_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>

#include "analysis/diff/hash.h"
#include "analysis/exit_label.h"

namespace kvmtape {
namespace {

bool was_asked_for(const RegisterSetContents& contents) {
  return contents.status == RegisterStatus::kTaken || contents.status == RegisterStatus::kRefused;
}

// Without the number of an element: rules are for all of a list.
std::string full_name(RegisterSet set, const RegisterValue& shown) {
  return fmt::format("{}.{}", struct_name(set), shown.name);
}

bool is_compared(std::string_view name, const DiffRules& rules) {
  return std::ranges::find(rules.ignored_fields, name) == rules.ignored_fields.end();
}

bool is_valid(const RegisterValue* shown) {
  return shown != nullptr && shown->validity == Validity::kValid;
}

bool is_unknown(const RegisterValue* shown) {
  return shown != nullptr && shown->validity == Validity::kUnknown;
}

FieldSide side_of(const RegisterSetContents& whole) {
  if (whole.status == RegisterStatus::kTaken) return {true, Validity::kValid, "taken", {}, {}};
  return {
      true,
      Validity::kAbsent,
      {},
      {},
      fmt::format("the kernel refused them: {}", errno_name(static_cast<int32_t>(whole.error)))};
}

const RegisterValue* find(const std::vector<RegisterValue>& values, const RegisterValue& like) {
  const auto found = std::ranges::find_if(values, [&](const RegisterValue& value) {
    return value.name == like.name && value.element == like.element;
  });
  return found == values.end() ? nullptr : &*found;
}

FieldSide side_of(const RegisterValue* shown) {
  if (shown == nullptr) return {false, Validity::kAbsent, {}, {}, "not in the recording"};
  FieldSide side{true, shown->validity, shown->text, {}, {}};
  if (shown->validity != Validity::kValid) side.why = shown->why;
  return side;
}

}  // namespace

uint64_t hash_registers(const DecodeContext& context, const RegisterSets& sets,
                        const DiffRules& rules) {
  uint64_t hash = 0;
  if (!rules.registers) return hash;
  for (const auto& [set, contents] : sets) {
    if (!was_asked_for(contents)) continue;
    for (const RegisterValue& shown : values_of(context, set, contents)) {
      const std::string name = full_name(set, shown);
      if (!is_valid(&shown) || !is_compared(name, rules)) continue;
      const auto hash_text = std::hash<std::string_view>();
      const uint64_t place = mix(hash_text(name), static_cast<uint64_t>(shown.element));
      hash += mix(place, shown.is_number ? shown.value : hash_text(shown.text));
    }
  }
  return hash;
}

std::vector<FieldChange> register_changes(const TakenRegisters& a, const TakenRegisters& b,
                                          const DiffRules& rules, const KernelDifferences& kernels,
                                          std::string_view guest) {
  std::vector<FieldChange> changes;
  if (!rules.registers) return changes;
  for (const auto& [set, in_a] : a.sets) {
    const auto in_b = b.sets.find(set);
    if (in_b == b.sets.end() || !was_asked_for(in_a) || !was_asked_for(in_b->second)) continue;
    if (in_a.status != in_b->second.status) {
      changes.push_back({std::string(struct_name(set)), side_of(in_a), side_of(in_b->second),
                         kernels.explaining(ChangePlace::at_registers(struct_name(set)),
                                            {nullptr, nullptr, false, guest})});
      continue;
    }
    const auto values_a = values_of(a.context, set, in_a);
    const auto values_b = values_of(b.context, set, in_b->second);
    const auto compare = [&, set = set](const RegisterValue* left, const RegisterValue* right) {
      if (!is_valid(left) && !is_valid(right)) return;
      if (is_unknown(left) || is_unknown(right)) return;
      if (is_valid(left) && is_valid(right) && left->text == right->text) return;
      const RegisterValue& any = left != nullptr ? *left : *right;
      std::string name = full_name(set, any);
      if (!is_compared(name, rules)) return;
      if (any.element >= 0) name += fmt::format("[{}]", any.element);
      FieldChange change{std::move(name), side_of(left), side_of(right), {}};
      if (set == RegisterSet::kOneReg)
        change.explained_by =
            kernels.explaining(ChangePlace::at_register(any.id), {nullptr, nullptr, false, guest});
      changes.push_back(std::move(change));
    };
    for (const RegisterValue& shown : values_a) compare(&shown, find(values_b, shown));
    for (const RegisterValue& shown : values_b)
      if (find(values_a, shown) == nullptr) compare(nullptr, &shown);
  }
  return changes;
}

}  // namespace kvmtape
