#include "analysis/kernel_changes.h"

#include <algorithm>
#include <tuple>

#include "replayer/arch_names/esr.h"

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
  if (!place.register_set.empty() || !seen.register_set.empty())
    return place.register_set == seen.register_set;
  const bool exit =
      place.exit_reason == ChangePlace::kAnyExit || place.exit_reason == seen.exit_reason;
  return exit && is_field(place, seen.field);
}

bool fulfils(const Exit& exit, const ChangeCondition& condition) {
  if (condition.field == "esr.ec")
    return exit.has_esr && decode_esr(exit.esr, exit.esr_has_high).ec == condition.value;
  const Field* field = exit.find(condition.field, condition.element);
  return field != nullptr && field->validity == Validity::kValid && field->value == condition.value;
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

bool differs_by_sign(uint64_t a, uint64_t b, size_t bytes) {
  const uint64_t width_mask = bytes >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
  for (const unsigned bits : {8u, 16u, 32u}) {
    if (bits >= 8 * bytes) return false;
    const uint64_t above = width_mask & ~((uint64_t{1} << bits) - 1);
    const bool one_has_ones =
        ((a & above) == above && (b & above) == 0) || ((b & above) == above && (a & above) == 0);
    if (((a ^ b) & width_mask) == above && one_has_ones && (a >> (bits - 1) & 1) != 0) return true;
  }
  return false;
}

std::string_view guest_of_mark(std::string_view mark) {
  constexpr std::string_view kPrefix = "probe ";
  const size_t colon = mark.find(':');
  if (!mark.starts_with(kPrefix) || colon == std::string_view::npos) return {};
  return mark.substr(kPrefix.size(), colon - kPrefix.size());
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

bool KernelDifferences::shows(const Difference& difference, const ChangePlace& place,
                              const Sighting& in) {
  if (place.sign_extended && !in.sign_extended) return false;
  if (!place.guest.empty() && place.guest != in.guest) return false;
  if (in.in_a == nullptr && in.in_b == nullptr) return true;
  if (place.field.empty() && (in.in_a == nullptr || in.in_b == nullptr)) {
    const Known does = in.in_a != nullptr ? difference.in_a : difference.in_b;
    if (place.on == ChangePlace::On::kThoseThatDo && does == Known::kNo) return false;
    if (place.on == ChangePlace::On::kThoseThatDoNot && does == Known::kYes) return false;
  }
  const auto fulfils_all = [&](const Exit* exit) {
    return exit != nullptr && std::ranges::all_of(place.conditions, [&](const auto& condition) {
             return fulfils(*exit, condition);
           });
  };
  return fulfils_all(in.in_a) || fulfils_all(in.in_b);
}

std::vector<KernelDifferences::Difference> KernelDifferences::seen_by_guest() const {
  std::vector<Difference> found;
  for (const Difference& difference : differences_)
    if (difference.change->guest_sees) found.push_back(difference);
  return found;
}

std::vector<KernelDifferences::Difference> KernelDifferences::explaining(const ChangePlace& seen,
                                                                         const Sighting& in) const {
  std::vector<std::pair<std::tuple<bool, bool, bool>, Difference>> found;
  for (const Difference& difference : differences_) {
    for (const ChangePlace& place : places_of(*difference.change)) {
      if (!shows_at(place, seen) || !shows(difference, place, in)) continue;
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
