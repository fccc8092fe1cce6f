// Numbers, times and sizes for people, with their units, and text that a terminal may be given.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/base/count_text.h"

namespace kvmtape {

std::string bytes_text(uint64_t bytes);      // "3.2 MB"
std::string duration_text(uint64_t ns);      // "1.20 us"
std::string seconds_text(int64_t ns);        // "0.000081234": as `dump` prints times
std::string utc_text(uint64_t realtime_ns);  // "2026-11-21 11:01:02 UTC"
// Printable text of UTF-8 as it is, all else by its bytes, "\x1b": nothing of a trace steers a
// terminal.
std::string printable(std::string_view text);

// The last line of whatever wrote a recording. Scripts rely on it to the letter.
std::string recorded_text(const std::string& path, uint64_t exits, uint64_t vcpus, uint64_t lost,
                          uint64_t bytes);

}  // namespace kvmtape
