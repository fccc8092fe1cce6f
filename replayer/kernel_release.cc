#include <charconv>

#include "replayer/decode_context.h"

namespace kvmtape {
namespace {

// A number at the front of `text`, which is shortened by it.
std::optional<uint32_t> take_number(std::string_view& text) {
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{}) return std::nullopt;
  text = {stopped, static_cast<size_t>(end - stopped)};
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

bool KernelVersion::at_least(uint32_t other_major, uint32_t other_minor) const {
  if (major != other_major) return major > other_major;
  if (minor != other_minor) return minor > other_minor;
  return release_candidate == 0;
}

std::optional<KernelVersion> parse_kernel_release(std::string_view release) {
  KernelVersion version;
  auto major = take_number(release);
  if (!major || !take(release, ".")) return std::nullopt;
  auto minor = take_number(release);
  if (!minor) return std::nullopt;
  version.major = *major;
  version.minor = *minor;
  if (take(release, ".")) {
    auto patch = take_number(release);
    if (!patch) return std::nullopt;
    version.patch = *patch;
  }
  if (take(release, "-rc") || take(release, "~rc")) {
    version.release_candidate = take_number(release).value_or(0);
  }
  return version;
}

}  // namespace kvmtape
