#include <algorithm>
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

// What is left behind "5.18.0" names a release candidate, in the words of a distribution: "-rc3",
// "~rc3" (Debian), ".rc3", "-0.rc3.." (Fedora), "-051800rc3" (Ubuntu: the release in six digits).
bool take_candidate_mark(std::string_view& text) {
  constexpr size_t kUbuntuDigits = 6;
  if (take(text, "~rc") || take(text, ".rc")) return true;
  if (!take(text, "-")) return false;
  if (take(text, "rc") || take(text, "0.rc")) return true;
  if (text.find_first_not_of("0123456789") != kUbuntuDigits) return false;
  text.remove_prefix(kUbuntuDigits);
  return take(text, "rc");
}

// Red Hat's kernels, and those rebuilt from them, keep a release's number for ten years while their
// KVM follows upstream's. ELRepo's name the same distribution and are upstream's.
bool is_rebased(std::string_view text) {
  constexpr std::string_view kMark = ".el";
  if (text.find(".elrepo") != std::string_view::npos) return false;
  const size_t digit = text.find(kMark);
  if (digit == std::string_view::npos || digit + kMark.size() >= text.size()) return false;
  const char first = text[digit + kMark.size()];
  return first >= '0' && first <= '9';
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
  if (!release.starts_with(".rc") && take(release, ".")) {
    auto patch = take_number(release);
    if (!patch) return std::nullopt;
    version.patch = *patch;
  }
  version.rebased = is_rebased(release);
  if (take_candidate_mark(release))
    version.release_candidate = std::max(take_number(release).value_or(1), 1u);
  return version;
}

}  // namespace kvmtape
