#include "analysis/diff/register_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "analysis/diff/guest_addresses.h"
#include "analysis/exit_label.h"
#include "analysis/hash.h"

namespace kvmtape {
namespace {

bool was_asked_for(const RegisterSetContents& contents) {
  return contents.status == RegisterStatus::kTaken || contents.status == RegisterStatus::kRefused;
}

// Without the number of an element: rules are for all of a list.
std::string full_name(RegisterSet set, const RegisterValue& shown) {
  return fmt::format("{}.{}", struct_name(set), shown.name);
}

// What differs from run to run of one guest, as it does in exits.
constexpr std::string_view kInterruptRegisters[] = {"kvm_vcpu_events.interrupt.",
                                                    "kvm_sregs.interrupt_bitmap"};

bool is_compared(std::string_view name, const DiffRules& rules) {
  const auto begins_with = [&](std::string_view part) { return name.starts_with(part); };
  if (!rules.interrupts && std::ranges::any_of(kInterruptRegisters, begins_with)) return false;
  const std::string_view set = name.substr(0, name.find('.'));
  return std::ranges::none_of(rules.ignored_fields, [&](std::string_view ignored) {
    return ignored == name || ignored == set;
  });
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

// The values of one side, to be found by the other side's.
class Lookup {
 public:
  explicit Lookup(const std::vector<RegisterValue>& values) {
    for (const RegisterValue& value : values) known_.emplace(key_of(value), &value);
  }
  const RegisterValue* find(const RegisterValue& like) const {
    const auto found = known_.find(key_of(like));
    return found == known_.end() ? nullptr : found->second;
  }

 private:
  using Key = std::pair<std::string_view, int16_t>;
  static Key key_of(const RegisterValue& value) { return {value.name, value.element}; }
  std::map<Key, const RegisterValue*> known_;
};

bool is_number(const RegisterValue& shown) {
  return shown.validity == Validity::kValid && shown.is_number;
}

// nullopt: not known to be an address of code or data.
std::optional<uint64_t> place_of(const TakenRegisters& taken, const RegisterValue& shown) {
  return is_number(shown) ? hash_place(taken.symbols, shown.value) : std::nullopt;
}
std::string symbol_of(const TakenRegisters& taken, const RegisterValue& shown) {
  return taken.symbols == nullptr || !is_number(shown) ? std::string()
                                                       : taken.symbols->at(shown.value);
}

FieldSide side_of(const TakenRegisters& taken, const RegisterValue* shown) {
  if (shown == nullptr) return {false, Validity::kAbsent, {}, {}, "not in the recording"};
  FieldSide side{true, shown->validity, shown->text, symbol_of(taken, *shown), {}};
  if (shown->validity != Validity::kValid) side.why = shown->why;
  return side;
}

}  // namespace

uint64_t hash_registers(const TakenRegisters& taken, const DiffRules& rules, bool one_kernel) {
  uint64_t hash = 0;
  if (!rules.registers) return hash;
  for (const auto& [set, contents] : taken.sets) {
    if (!was_asked_for(contents)) continue;
    const bool same_validity =
        one_kernel || (set != RegisterSet::kOneReg && set != RegisterSet::kVcpuEvents);
    if (same_validity && taken.symbols == nullptr) {
      hash += mix(static_cast<uint64_t>(set), hash_bytes(contents.bytes));
      continue;
    }
    for (const RegisterValue& shown : values_of(taken.context, set, contents)) {
      if (!is_valid(&shown)) continue;
      const uint64_t name = mix(mix(static_cast<uint64_t>(set), hash_text(shown.name)),
                                static_cast<uint16_t>(shown.element));
      hash += mix(name, place_of(taken, shown).value_or(hash_text(shown.text)));
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
    if (in_a.status != in_b->second.status && is_compared(struct_name(set), rules)) {
      changes.push_back({std::string(struct_name(set)), side_of(in_a), side_of(in_b->second),
                         kernels.explaining(ChangePlace::at_registers(struct_name(set)),
                                            {nullptr, nullptr, false, guest})});
      continue;
    }
    const auto values_a = values_of(a.context, set, in_a);
    const auto values_b = values_of(b.context, set, in_b->second);
    const Lookup known_a(values_a), known_b(values_b);
    const auto compare = [&, set = set](const RegisterValue* left, const RegisterValue* right) {
      if (!is_valid(left) && !is_valid(right)) return;
      if (is_unknown(left) || is_unknown(right)) return;
      if (is_valid(left) && is_valid(right)) {
        if (left->text == right->text) return;
        const auto place = place_of(a, *left);
        if (place && place == place_of(b, *right)) return;
      }
      const RegisterValue& any = left != nullptr ? *left : *right;
      std::string name = full_name(set, any);
      if (!is_compared(name, rules)) return;
      if (any.element >= 0) name += fmt::format("[{}]", any.element);
      FieldChange change{std::move(name), side_of(a, left), side_of(b, right), {}};
      if (set == RegisterSet::kOneReg)
        change.explained_by =
            kernels.explaining(ChangePlace::at_register(any.id), {nullptr, nullptr, false, guest});
      // One recorder may not have asked for it; earlier ones left out what was refused.
      if ((left == nullptr || right == nullptr) && change.explained_by.empty()) return;
      changes.push_back(std::move(change));
    };
    for (const RegisterValue& shown : values_a) compare(&shown, known_b.find(shown));
    for (const RegisterValue& shown : values_b)
      if (known_a.find(shown) == nullptr) compare(nullptr, &shown);
  }
  return changes;
}

}  // namespace kvmtape
