// Counts for people, in whatever is said of a recording: with separators, and with what is counted
// in its plural. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace kvmtape {

// "41,200"
inline std::string count_text(uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

// "1 exit", "2 exits".
inline std::string counted(uint64_t count, const std::string& what) {
  return count_text(count) + " " + what + (count == 1 ? "" : "s");
}

// "1 exit was", "2 exits were".
inline std::string counted_were(uint64_t count, const std::string& what) {
  return counted(count, what) + (count == 1 ? " was" : " were");
}

}  // namespace kvmtape
