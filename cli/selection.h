// The words of --seq, --time and lists of numbers, into numbers. Pure functions; any thread. Errors
// are kUsage and say what to write instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "schema/base/result.h"

namespace kvmtape {

// Of what was typed, with what to write instead.
Error usage_error(std::string message);

// `option` is what an error names.
Result<uint64_t> parse_number(std::string_view option, const std::string& text);
// "0x3f8" or "1016"; nullopt: neither.
std::optional<uint64_t> hex_or_decimal(std::string_view text);
// "100-200", "100-" and "100".
Result<std::pair<uint64_t, uint64_t>> parse_seq_range(const std::string& text);
// "A,B", each in nanoseconds, or with a unit (s ms us ns), or with a point in seconds as `dump`
// prints them; either may be left out.
Result<std::pair<int64_t, int64_t>> parse_time_range(const std::string& text);

}  // namespace kvmtape
