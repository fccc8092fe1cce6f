#include <algorithm>
#include <charconv>

#include "replayer/exit_decoder.h"

namespace kvmtape {
namespace {

constexpr std::string_view kPrefix = "KVM_EXIT_";

char to_upper(char letter) {
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_upper(x) == to_upper(y); });
}

}  // namespace

std::string_view exit_reason_name(uint32_t reason) {
  const abi::ExitReason* known = abi::find_exit_reason(reason);
  return known == nullptr ? std::string_view{} : known->name;
}

std::string_view without_exit_prefix(std::string_view name) {
  if (name.size() > kPrefix.size() && equal_in_any_case(name.substr(0, kPrefix.size()), kPrefix))
    name.remove_prefix(kPrefix.size());
  return name;
}

int64_t exit_reason_number(std::string_view name) {
  name = without_exit_prefix(name);
  for (const abi::ExitReason& reason : abi::exit_reasons())
    if (equal_in_any_case(name, without_exit_prefix(reason.name))) return reason.number;
  uint32_t number = 0;
  auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = failure == std::errc{} && end == name.data() + name.size();
  return whole ? int64_t{number} : -1;
}

}  // namespace kvmtape
