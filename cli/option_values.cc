#include "cli/option_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/human.h"
#include "cli/selection.h"
#include "cli/suggest.h"

namespace kvmtape {

CLI::Validator one_of(const std::vector<std::string>& names) {
  const auto check = [names](std::string& text) -> std::string {
    if (std::ranges::find(names, text) != names.end()) return {};
    const std::string near = nearest_name(text, names);
    return near.empty() ? fmt::format("'{}' is none of {}", text, fmt::join(names, ", "))
                        : fmt::format("'{}' is unknown; did you mean {}?", text, near);
  };
  return {check, fmt::format("{{{}}}", fmt::join(names, ","))};
}

CLI::Validator positive_number() {
  const auto check = [](std::string& text) -> std::string {
    const auto number = parse_number("", text);
    return number.ok() && *number != 0 ? "" : fmt::format("'{}' is no number greater than 0", text);
  };
  return {check, ""};
}

CLI::Validator any_number() {
  const auto check = [](std::string& text) -> std::string {
    return parse_number("", text).ok() ? "" : fmt::format("'{}' is no number from 0 on", text);
  };
  return {check, ""};
}

CLI::Validator recording_file() {
  const auto check = [](std::string& path) -> std::string {
    if (path.empty()) return "an empty name; write the name of a file";
    return path == "-" ? "a recording is not written to standard output; write the name of a file"
                       : "";
  };
  return {check, ""};
}

CLI::Validator size_in_bytes(uint64_t least, uint64_t most) {
  const auto convert = [least, most](std::string& text) -> std::string {
    const std::string typed = text;
    constexpr const char* kWrite = "write 65536, 512K, 1M or 2G";
    try {
      const std::string problem = CLI::AsSizeValue(false)(text);
      uint64_t bytes = 0;
      // CLI11 takes -5 for a very large number.
      if (typed.starts_with('-') || !problem.empty() || !CLI::detail::lexical_cast(text, bytes))
        return fmt::format("'{}' is no size; {}", typed, kWrite);
      if (bytes < least)
        return fmt::format("'{}' is too small; at least {} bytes", typed, count_text(least));
      if (bytes > most)
        return fmt::format("'{}' is too large; at most {} bytes", typed, count_text(most));
    } catch (const CLI::Error&) {  // a number without its unit, or too large
      return fmt::format("'{}' is no size; {}", typed, kWrite);
    }
    return {};
  };
  return {convert, ""};
}

}  // namespace kvmtape
