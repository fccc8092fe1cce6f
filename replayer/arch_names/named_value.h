// Tables of numbers and their names: constexpr arrays in rising order, each proved sorted and
// unique by a static_assert beside it, so that a lookup is a binary search and a wrong table does
// not compile. Names are the kernel's constants or the architecture's words, static and never
// freed; a number without a name gives an empty string_view. Any thread; nothing allocates but the
// two functions that return std::string.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kvmtape {

struct NamedValue {
  uint64_t value;
  std::string_view name;
};
using NamedValues = std::span<const NamedValue>;

constexpr bool strictly_rising(NamedValues table) {
  for (size_t i = 1; i < table.size(); ++i)
    if (table[i - 1].value >= table[i].value) return false;
  return true;
}

constexpr std::string_view name_of(NamedValues table, uint64_t value) {
  auto found = std::lower_bound(table.begin(), table.end(), value,
                                [](const NamedValue& row, uint64_t v) { return row.value < v; });
  return found != table.end() && found->value == value ? found->name : std::string_view{};
}

// The name, or the number in hex where there is none.
std::string name_or_hex(std::string_view name, uint64_t value);

// "PE|NE|PG" of a table whose values are bit numbers; set bits without a name follow in hex, and
// nothing set is "0".
std::string bit_names(NamedValues bit_table, uint64_t value);

}  // namespace kvmtape
