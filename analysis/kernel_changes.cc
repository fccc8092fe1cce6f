#include "analysis/kernel_changes.h"

#include <algorithm>
#include <tuple>

namespace kvmtape {
namespace {

#include "analysis/kernel_changes.inc"

Known since_or_backported(const KernelChange& change, const KernelFacts& kernel) {
  const Known since = kernel.since(change.since);
  if (since != Known::kNo || !kernel.context.kernel) return since;
  const KernelVersion& version = *kernel.context.kernel;
  for (const StableRelease& stable :
       std::span(kBackports).subspan(change.backport, change.backports)) {
    if (stable.major != version.major || stable.minor != version.minor) continue;
    if (!kernel.stable_patch) return Known::kMaybe;
    return *kernel.stable_patch >= stable.patch ? Known::kYes : Known::kNo;
  }
  return Known::kNo;
}

bool is_field(const ChangePlace& place, std::string_view field) {
  if (place.field.ends_with('.')) return field.starts_with(place.field);
  return place.field == field;
}

bool shows_at(const ChangePlace& place, const ChangePlace& seen) {
  if (place.register_id != 0 || seen.register_id != 0) return place.register_id == seen.register_id;
  const bool exit =
      place.exit_reason == ChangePlace::kAnyExit || place.exit_reason == seen.exit_reason;
  return exit && is_field(place, seen.field);
}

bool same_kernel(const DecodeContext& a, const DecodeContext& b) {
  return a.kernel && a.kernel == b.kernel && a.kernel_version_text == b.kernel_version_text &&
         a.capabilities == b.capabilities;
}

}  // namespace

std::span<const KernelChange> kernel_changes() { return kChanges; }

std::span<const ChangePlace> places_of(const KernelChange& change) {
  return std::span(kPlaces).subspan(change.place, change.places);
}

Known behaves_so(const KernelChange& change, const KernelFacts& kernel) {
  if ((change.architectures & abi::mask_of(kernel.context.architecture)) == 0) return Known::kNo;
  if (change.capability != 0)
    if (const auto answer = kernel.context.capability(change.capability))
      return *answer > 0 ? Known::kYes : Known::kNo;
  const Known since = since_or_backported(change, kernel);
  if (change.until == 0 || since == Known::kNo) return since;
  switch (kernel.since(static_cast<abi::Release>(change.until + 1))) {
    case Known::kYes:
      return Known::kNo;
    case Known::kNo:
      return since;
    case Known::kMaybe:
      break;
  }
  return Known::kMaybe;
}

KernelDifferences::KernelDifferences(const DecodeContext& a, const DecodeContext& b) {
  if (a.architecture != b.architecture || same_kernel(a, b)) return;
  const KernelFacts facts_a(a), facts_b(b);
  for (const KernelChange& change : kChanges) {
    const Known in_a = behaves_so(change, facts_a), in_b = behaves_so(change, facts_b);
    if (in_a != in_b || in_a == Known::kMaybe) differences_.push_back({&change, in_a, in_b});
  }
}

std::vector<KernelDifferences::Difference> KernelDifferences::explaining(
    const ChangePlace& seen) const {
  std::vector<std::pair<std::tuple<bool, bool, bool>, Difference>> found;
  for (const Difference& difference : differences_) {
    for (const ChangePlace& place : places_of(*difference.change)) {
      if (!shows_at(place, seen)) continue;
      found.push_back({{!difference.certain(), place.exit_reason == ChangePlace::kAnyExit,
                        !difference.change->doubt.empty()},
                       difference});
      break;
    }
  }
  std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
  std::vector<Difference> result;
  for (const auto& [rank, difference] : found) result.push_back(difference);
  return result;
}

}  // namespace kvmtape
