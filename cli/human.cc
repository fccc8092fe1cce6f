#include "cli/human.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <string_view>
#include <utility>

namespace kvmtape {

std::string bytes_text(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.95) break;
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string duration_text(uint64_t ns) {
  if (ns < 1000) return fmt::format("{} ns", ns);
  const double value = static_cast<double>(ns);
  if (ns < 1000000) return fmt::format("{:.2f} us", value / 1e3);
  if (ns < 1000000000) return fmt::format("{:.2f} ms", value / 1e6);
  return fmt::format("{:.3f} s", value / 1e9);
}

std::string seconds_text(int64_t ns) {
  const uint64_t size = ns < 0 ? 0 - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  return fmt::format("{}{}.{:09}", ns < 0 ? "-" : "", size / 1000000000, size % 1000000000);
}

std::string utc_text(uint64_t realtime_ns) {
  const auto seconds = static_cast<time_t>(realtime_ns / 1000000000);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "?";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", parts);
}

namespace {

// Bytes of the UTF-8 character that `text` begins with, and the character; 0: there is none.
std::pair<size_t, char32_t> first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t bytes = byte(0) < 0x80   ? 1
                       : byte(0) < 0xc2 ? 0
                       : byte(0) < 0xe0 ? 2
                       : byte(0) < 0xf0 ? 3
                       : byte(0) < 0xf5 ? 4
                                        : 0;
  if (bytes == 0 || bytes > text.size()) return {0, 0};
  char32_t character = bytes == 1 ? byte(0) : byte(0) & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    character = character << 6 | (byte(i) & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // of so many bytes
  const bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < kLeast[bytes] || is_surrogate || character > 0x10ffff) return {0, 0};
  return {bytes, character};
}

// It moves nothing on a terminal but its own place: no controls, and none of the characters that
// turn the order of text around, break its lines or show nothing.
bool is_shown(char32_t character) {
  const auto within = [&](char32_t first, char32_t last) {
    return character >= first && character <= last;
  };
  return character >= 0x20 && !within(0x7f, 0x9f) && character != 0xad && character != 0x61c &&
         character != 0x180e && !within(0x200b, 0x200f) && !within(0x2028, 0x202e) &&
         !within(0x2060, 0x206f) && !within(0xfff9, 0xfffb) && character != 0xfeff &&
         (character & 0xfffe) != 0xfffe && !within(0xe0000, 0xe0fff);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const auto [bytes, character] = first_character(text.substr(at));
    if (bytes != 0 && is_shown(character)) {
      result.append(text, at, bytes);
      at += bytes;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at++]));
    }
  }
  return result;
}

std::string recorded_text(const std::string& path, uint64_t exits, uint64_t vcpus, uint64_t lost,
                          uint64_t bytes) {
  return fmt::format("[ kvmtape: {}: {} exits, {} vCPUs, {} lost, {} ]", path, exits, vcpus, lost,
                     bytes_text(bytes));
}

}  // namespace kvmtape
