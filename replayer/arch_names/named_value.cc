#include "replayer/arch_names/named_value.h"

#include <fmt/format.h>

namespace kvmtape {

std::string name_or_hex(std::string_view name, uint64_t value) {
  return name.empty() ? fmt::format("{:#x}", value) : std::string(name);
}

std::string bit_names(NamedValues bit_table, uint64_t value) {
  std::string text;
  uint64_t rest = value;
  for (const NamedValue& bit : bit_table) {
    const uint64_t mask = uint64_t{1} << bit.value;
    if ((value & mask) == 0) continue;
    if (!text.empty()) text += '|';
    text += bit.name;
    rest &= ~mask;
  }
  if (rest != 0) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", rest);
  return text.empty() ? "0" : text;
}

}  // namespace kvmtape
