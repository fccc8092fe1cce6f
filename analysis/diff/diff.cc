#include "analysis/diff/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "analysis/diff/exit_walk.h"
#include "analysis/diff/field_changes.h"
#include "analysis/exit_key.h"
#include "analysis/session_context.h"

namespace kvmtape {
namespace {

constexpr size_t kGroupsMax = 4096;

// One recording of the two.
struct Side {
  TraceReader& reader;
  ExitDecoder decoder;
  std::vector<ExitIdentity> exits = {};  // of the vCPU at hand
};

// What says the same: kind, exit, and fields with their validity but not their values; and, where
// nothing explains it, port, address or register.
std::string group_key(const ExitChange& change) {
  std::string key =
      fmt::format("{}|{}|{}", static_cast<int>(change.kind), change.a.name, change.b.name);
  for (const FieldChange& field : change.fields)
    key += fmt::format("|{}:{}:{}", field.name, static_cast<int>(field.a.validity),
                       static_cast<int>(field.b.validity));
  for (const auto& explanation : change.explained_by)
    key += fmt::format("|{}", explanation.change->id);
  if (!change.explained()) key += fmt::format("|{}|{}", change.a.key, change.b.key);
  return key;
}

class Comparison {
 public:
  Comparison(TraceReader& a, TraceReader& b, const DiffOptions& options)
      : options_(options),
        a_{a, ExitDecoder(decode_context_of(a.session()))},
        b_{b, ExitDecoder(decode_context_of(b.session()))},
        kernels_(a_.decoder.context(), b_.decoder.context()),
        normaliser_(a_.decoder.context(), b_.decoder.context(), options.rules) {}

  Result<Diff> run() {
    std::set<uint32_t> vcpus;
    for (const Side* side : {&a_, &b_})
      for (const VcpuTotals& vcpu : side->reader.vcpus())
        if (options_.vcpus.empty() ||
            std::ranges::find(options_.vcpus, vcpu.index) != options_.vcpus.end())
          vcpus.insert(vcpu.index);
    for (const uint32_t vcpu : vcpus) {
      KVMTAPE_TRY(identify(a_, vcpu, diff_.totals.compared_a, diff_.totals.left_out_a));
      KVMTAPE_TRY(identify(b_, vcpu, diff_.totals.compared_b, diff_.totals.left_out_b));
      if (a_.exits == b_.exits)
        diff_.totals.same += a_.exits.size();
      else
        compare_vcpu(vcpu);
    }
    add_context(diff_.first);
    add_context(diff_.first_unexplained);
    finish_groups();
    return std::move(diff_);
  }

 private:
  Result<void> identify(Side& side, uint32_t vcpu, uint64_t& compared, uint64_t& left_out) {
    side.exits.clear();
    ExitWalk walk(side.reader, side.decoder, normaliser_, vcpu);
    while (walk.next()) {
      if (side.exits.size() == UINT32_MAX)
        return Error{ErrorCode::kUnsupported,
                     fmt::format("vCPU {} has more exits than can be compared", vcpu),
                     side.reader.path(),
                     {}};
      side.exits.push_back(normaliser_.identity(walk.decoded(), walk.slots()));
    }
    compared += side.exits.size();
    left_out += walk.left_out();
    return {};
  }

  void compare_vcpu(uint32_t vcpu) {
    const Alignment alignment = align(a_.exits, b_.exits, options_.limits);
    diff_.totals.unaligned += alignment.unaligned;
    ExitWalk walk_a(a_.reader, a_.decoder, normaliser_, vcpu);
    ExitWalk walk_b(b_.reader, b_.decoder, normaliser_, vcpu);
    vcpu_ = vcpu;
    walk_a_ = &walk_a;
    walk_b_ = &walk_b;
    next_a_ = next_b_ = 0;
    has_a_ = walk_a.next();
    has_b_ = walk_b.next();
    for (const AlignedRun& run : alignment.runs) {
      replaced_until(run.a, run.b);
      for (uint32_t i = 0; i < run.count; ++i) same_or_changed();
    }
    replaced_until(static_cast<uint32_t>(a_.exits.size()), static_cast<uint32_t>(b_.exits.size()));
  }

  // What stands between two aligned runs.
  void replaced_until(uint32_t a_end, uint32_t b_end) {
    const uint32_t a_begin = next_a_, b_begin = next_b_;
    if (a_begin == a_end && b_begin == b_end) return;
    const auto pairs =
        pair_changed(std::span(a_.exits).subspan(a_begin, a_end - a_begin),
                     std::span(b_.exits).subspan(b_begin, b_end - b_begin), options_.limits);
    for (const AlignedRun& pair : pairs) {
      only_one_side_until(a_begin + pair.a, b_begin + pair.b);
      for (uint32_t i = 0; i < pair.count; ++i) same_or_changed();
    }
    only_one_side_until(a_end, b_end);
  }

  void only_one_side_until(uint32_t a_end, uint32_t b_end) {
    while (next_a_ < a_end) {
      only_in(ChangeKind::kMissing, walk_a_->decoded());
      step_a();
    }
    while (next_b_ < b_end) {
      only_in(ChangeKind::kExtra, walk_b_->decoded());
      step_b();
    }
  }

  void step_a() { ++next_a_, has_a_ = walk_a_->next(); }
  void step_b() { ++next_b_, has_b_ = walk_b_->next(); }

  void same_or_changed() {
    // A recording that is still written may have lost what the first walk saw.
    if (has_a_ && has_b_ && a_.exits[next_a_] != b_.exits[next_b_])
      changed();
    else
      ++diff_.totals.same;
    step_a();
    step_b();
  }

  void only_in(ChangeKind kind, const DecodedExit& decoded) {
    if (!(kind == ChangeKind::kMissing ? has_a_ : has_b_)) return;
    ExitChange change{vcpu_, kind, {walk_a_->seq(), {}, {}, {}}, {walk_b_->seq(), {}, {}, {}},
                      {},    {}};
    fill(kind == ChangeKind::kMissing ? change.a : change.b, kind == ChangeKind::kMissing ? a_ : b_,
         decoded);
    change.explained_by = kernels_.explaining(ChangePlace::at_exit(decoded.exit.reason));
    note(std::move(change));
  }

  void changed() {
    const DecodedExit &in_a = walk_a_->decoded(), &in_b = walk_b_->decoded();
    ExitChange change{
        vcpu_, ChangeKind::kChanged, {walk_a_->seq(), {}, {}, {}}, {walk_b_->seq(), {}, {}, {}}, {},
        {}};
    change.fields =
        field_changes({in_a, walk_a_->slots()}, {in_b, walk_b_->slots()}, normaliser_, kernels_);
    const size_t found = change.fields.size();
    std::erase_if(change.fields,
                  [&](const FieldChange& field) { return is_ignored(field.explained_by); });
    if (change.fields.empty()) {
      ++(found == 0 ? diff_.totals.same : diff_.totals.ignored);
      return;
    }
    fill(change.a, a_, in_a);
    fill(change.b, b_, in_b);
    explain_by_fields(change);
    note(std::move(change));
  }

  static void explain_by_fields(ExitChange& change) {
    for (const FieldChange& field : change.fields) {
      if (field.explained_by.empty()) return change.explained_by.clear();
      const KernelDifferences::Difference& likeliest = field.explained_by.front();
      if (std::ranges::none_of(change.explained_by,
                               [&](const auto& known) { return known.change == likeliest.change; }))
        change.explained_by.push_back(likeliest);
    }
  }

  static void fill(ExitSide& exit, const Side& side, const DecodedExit& decoded) {
    exit.name = name_of(decoded);
    exit.text = text_of(side.decoder, decoded);
    if (const auto key = exit_key(decoded.exit))
      exit.key = exit_key_text(side.decoder.context().architecture, decoded.exit.reason, *key);
  }

  bool is_ignored(const std::vector<KernelDifferences::Difference>& explanations) const {
    return std::ranges::any_of(explanations, [&](const auto& explanation) {
      return std::ranges::find(options_.rules.ignored_changes, explanation.change->id) !=
             options_.rules.ignored_changes.end();
    });
  }

  void note(ExitChange change) {
    DiffTotals& totals = diff_.totals;
    if (change.kind != ChangeKind::kChanged && is_ignored(change.explained_by)) {
      ++totals.ignored;
      return;
    }
    ++(change.kind == ChangeKind::kChanged   ? totals.changed
       : change.kind == ChangeKind::kMissing ? totals.missing
                                             : totals.extra);
    if (change.explained()) ++totals.explained;
    const int64_t time =
        change.kind == ChangeKind::kExtra ? walk_b_->time_ns() : walk_a_->time_ns();
    note_first(diff_.first, first_time_, change, time);
    if (!change.explained())
      note_first(diff_.first_unexplained, first_unexplained_time_, change, time);
    if (change.explained() && options_.only_unexplained) return;
    ++diff_.listed;
    const std::string key = group_key(change);
    if (groups_.size() < kGroupsMax || groups_.contains(key)) {
      ChangeGroup& group = groups_[key];
      if (group.count++ == 0) group.first = change;
    }
    if (diff_.changes.size() < options_.changes_max) diff_.changes.push_back(std::move(change));
  }

  static void note_first(std::optional<Divergence>& first, int64_t& first_time,
                         const ExitChange& change, int64_t time) {
    if (first && (first->change.vcpu == change.vcpu || first_time <= time)) return;
    first = Divergence{change, {}, {}};
    first_time = time;
  }

  void add_context(std::optional<Divergence>& divergence) {
    if (!divergence) return;
    const ExitChange& change = divergence->change;
    divergence->context_a = context_of(a_, change.vcpu, change.a.seq);
    divergence->context_b = context_of(b_, change.vcpu, change.b.seq);
  }

  std::vector<ExitSide> context_of(Side& side, uint32_t vcpu, uint64_t seq) const {
    Selection selection;
    selection.vcpus = {vcpu};
    selection.seq = {seq - std::min(seq, options_.context), seq + options_.context};
    std::vector<ExitSide> lines;
    DecodedExit decoded;
    side.reader.rewind(selection);
    for (Item item; side.reader.next(item);) {
      if (item.kind != Item::Kind::kExit) continue;
      decode_both(side.decoder, *item.exit, decoded);
      fill(lines.emplace_back(ExitSide{item.exit->seq, {}, {}, {}}), side, decoded);
    }
    return lines;
  }

  void finish_groups() {
    for (auto& [key, group] : groups_) diff_.groups.push_back(std::move(group));
    std::ranges::stable_sort(diff_.groups, [](const ChangeGroup& x, const ChangeGroup& y) {
      if (x.first.explained() != y.first.explained()) return y.first.explained();
      return x.count > y.count;
    });
    for (const auto& difference : kernels_.all()) {
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
  }

  const DiffOptions& options_;
  Side a_, b_;
  KernelDifferences kernels_;
  Normaliser normaliser_;
  Diff diff_;
  std::map<std::string, ChangeGroup> groups_;
  int64_t first_time_ = 0, first_unexplained_time_ = 0;
  // Of the vCPU at hand.
  uint32_t vcpu_ = 0;
  ExitWalk *walk_a_ = nullptr, *walk_b_ = nullptr;
  uint32_t next_a_ = 0, next_b_ = 0;  // exits that have been stepped over
  bool has_a_ = false, has_b_ = false;
};

}  // namespace

std::string_view to_string(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kChanged:
      return "changed";
    case ChangeKind::kMissing:
      return "missing";
    case ChangeKind::kExtra:
      return "extra";
  }
  return "";
}

Result<Diff> compare(TraceReader& a, TraceReader& b, const DiffOptions& options) {
  const Architecture in_a = a.session().architecture, in_b = b.session().architecture;
  if (in_a != in_b)
    return Error{ErrorCode::kUsage,
                 fmt::format("recordings of two architectures, {} and {}, cannot be compared",
                             architecture_name(in_a), architecture_name(in_b)),
                 b.path(),
                 {}};
  return Comparison(a, b, options).run();
}

}  // namespace kvmtape
