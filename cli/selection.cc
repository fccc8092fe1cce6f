#include "cli/selection.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace kvmtape {
namespace {

Result<int64_t> parse_time(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string unit(rest, end);
  const bool has_point = text.find('.') != std::string::npos;
  double scale = 0;
  if (unit == "ns" || (unit.empty() && !has_point)) scale = 1;
  if (unit == "us") scale = 1e3;
  if (unit == "ms") scale = 1e6;
  if (unit == "s" || (unit.empty() && has_point)) scale = 1e9;
  const double ns = value * scale;
  if (error != std::errc{} || scale == 0 || !std::isfinite(ns) || std::abs(ns) > 9e18)
    return usage_error(
        fmt::format("--time: '{}' is not a time; write 81234 (ns), 12.5ms or 0.000081234", text));
  return static_cast<int64_t>(std::llround(ns));
}

}  // namespace

Error usage_error(std::string message) { return {ErrorCode::kUsage, std::move(message), {}, {}}; }

Result<uint64_t> parse_number(std::string_view option, const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end)
    return usage_error(fmt::format("{}: '{}' is not a number", option, text));
  return value;
}

std::optional<uint64_t> hex_or_decimal(std::string_view text) {
  const bool hex = text.starts_with("0x");
  const std::string_view digits = hex ? text.substr(2) : text;
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value, hex ? 16 : 10);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

Result<std::pair<uint64_t, uint64_t>> parse_seq_range(const std::string& text) {
  const size_t dash = text.find('-');
  KVMTAPE_TRY_ASSIGN(const uint64_t first, parse_number("--seq", text.substr(0, dash)));
  if (dash == std::string::npos) return std::pair(first, first);
  if (dash + 1 == text.size()) return std::pair(first, std::numeric_limits<uint64_t>::max());
  KVMTAPE_TRY_ASSIGN(const uint64_t last, parse_number("--seq", text.substr(dash + 1)));
  if (last < first)
    return usage_error(fmt::format(
        "--seq {}: the first number is greater than the last; write A-B, A- or A", text));
  return std::pair(first, last);
}

Result<std::pair<int64_t, int64_t>> parse_time_range(const std::string& text) {
  const size_t comma = text.find(',');
  if (comma == std::string::npos)
    return usage_error(fmt::format("--time {}: write two times, A,B; either may be empty", text));
  std::pair<int64_t, int64_t> range{std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()};
  if (comma > 0) {
    KVMTAPE_TRY_ASSIGN(range.first, parse_time(text.substr(0, comma)));
  }
  if (comma + 1 < text.size()) {
    KVMTAPE_TRY_ASSIGN(range.second, parse_time(text.substr(comma + 1)));
  }
  if (range.second < range.first)
    return usage_error(fmt::format(
        "--time {}: the first time is after the last; write the earlier one first", text));
  return range;
}

}  // namespace kvmtape
