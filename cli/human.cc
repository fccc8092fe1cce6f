#include "cli/human.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

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

std::string printable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7f)
      result += c;
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string recorded_text(const std::string& path, uint64_t exits, uint64_t vcpus, uint64_t lost,
                          uint64_t bytes, uint64_t files, const std::vector<std::string>& remarks) {
  std::string text = fmt::format("[ kvmtape: {}: {} exits, {} vCPUs, {} lost, {}", path, exits,
                                 vcpus, lost, bytes_text(bytes));
  if (files > 1) text += fmt::format(" in {} files", files);
  for (const std::string& remark : remarks) text += "; " + remark;
  return text + " ]";
}

}  // namespace kvmtape
