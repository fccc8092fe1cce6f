#include "analysis/diff/change_log.h"

#include <algorithm>

namespace kvmtape {
namespace {

bool is_new_first(const std::optional<Divergence>& first, int64_t first_time,
                  const ChangeLog::Found& found) {
  return !first || (first->change.vcpu != found.vcpu && found.time_ns < first_time);
}

}  // namespace

void ChangeLog::add(const Found& found, const std::function<ExitChange()>& describe) {
  DiffTotals& totals = diff_.totals;
  ++(found.kind == ChangeKind::kChanged   ? totals.changed
     : found.kind == ChangeKind::kMissing ? totals.missing
                                          : totals.extra);
  if (found.explained) ++totals.explained;
  std::optional<ExitChange> made;
  const auto change = [&]() -> const ExitChange& {
    return made ? *made : made.emplace(describe());
  };
  const auto note_first = [&](std::optional<Divergence>& first, int64_t& first_time) {
    if (!is_new_first(first, first_time, found)) return;
    first = Divergence{change(), {}, {}};
    first_time = found.time_ns;
  };
  note_first(diff_.first, first_time_);
  if (!found.explained) note_first(diff_.first_unexplained, first_unexplained_time_);
  if (found.explained && options_.only_unexplained) return;
  ++diff_.listed;
  if (const auto known = groups_.find(found.says); known != groups_.end()) {
    auto& [number, last_guest] = known->second;
    ++diff_.groups[number].count;
    if (last_guest != found.guest) {
      ++diff_.groups[number].guests;
      last_guest = found.guest;
    }
  } else if (diff_.groups.size() < kGroupsMax) {
    groups_[found.says] = {diff_.groups.size(), std::string(found.guest)};
    diff_.groups.push_back({change(), 1});
  }
  if (diff_.changes.size() < options_.changes_max) diff_.changes.push_back(change());
}

void ChangeLog::finish(const KernelDifferences& kernels) {
  std::ranges::stable_sort(diff_.groups, [](const ChangeGroup& x, const ChangeGroup& y) {
    if (x.first.explained() != y.first.explained()) return y.first.explained();
    return x.count > y.count;
  });
  for (const auto& difference : kernels.all()) {
    const auto is_it = [&](const auto& explanation) {
      return explanation.change == difference.change;
    };
    if (std::ranges::any_of(diff_.groups, [&](const ChangeGroup& group) {
          return std::ranges::any_of(group.first.explained_by, is_it) ||
                 std::ranges::any_of(group.first.fields, [&](const FieldChange& field) {
                   return std::ranges::any_of(field.explained_by, is_it);
                 });
        }))
      diff_.kernel_differences.push_back(difference);
  }
  diff_.seen_by_guest = kernels.seen_by_guest();
}

}  // namespace kvmtape
