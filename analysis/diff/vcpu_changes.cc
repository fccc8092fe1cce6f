#include "analysis/diff/vcpu_changes.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "analysis/exit_key.h"
#include "analysis/hash.h"

namespace kvmtape {
namespace {

using Explanations = std::vector<KernelDifferences::Difference>;

uint64_t reason_of(const Exit& exit) {
  const bool stale = exit.reason_validity != Validity::kValid;
  return uint64_t{stale} << 32 | exit.reason;
}

uint64_t mix_exit(uint64_t hash, const Exit& exit, bool with_key) {
  hash = mix(hash, reason_of(exit));
  if (!with_key) return hash;
  const auto key = exit_key(exit);
  return mix(hash, key ? *key : ~uint64_t{0});
}

uint64_t mix_explanations(uint64_t hash, const Explanations& explanations) {
  for (const auto& explanation : explanations)
    hash = mix(hash, reinterpret_cast<uintptr_t>(explanation.change));
  return hash;
}

// Of its fields and registers, if each has one: the likeliest of each.
Explanations explained_by_each(const std::vector<FieldDifference>& fields,
                               const std::vector<FieldChange>& registers) {
  Explanations all;
  bool each = true;
  const auto add = [&](const Explanations& explanations) {
    if (explanations.empty()) {
      each = false;
      return;
    }
    const auto& likeliest = explanations.front();
    if (std::ranges::none_of(all,
                             [&](const auto& known) { return known.change == likeliest.change; }))
      all.push_back(likeliest);
  };
  for (const FieldDifference& field : fields) add(field.explained_by);
  for (const FieldChange& change : registers) add(change.explained_by);
  return each ? all : Explanations{};
}

// Which exits of one side, asked for in order, stand in no aligned run or are not the same on the
// other side.
class Differing {
 public:
  using Begin = uint32_t AlignedRun::*;
  Differing(std::span<const AlignedRun> runs, Begin here, std::span<const ExitIdentity> exits,
            Begin there, std::span<const ExitIdentity> others)
      : runs_(runs), here_(here), exits_(exits), there_(there), others_(others) {}

  // The first such exit at or behind `from`; how many exits there are: none.
  uint32_t operator()(uint32_t from) {
    for (; !runs_.empty(); runs_ = runs_.subspan(1)) {
      const AlignedRun& run = runs_.front();
      const uint32_t begin = run.*here_;
      if (from < begin) return from;
      if (from - begin >= run.count) continue;
      const auto here = exits_.subspan(from, run.count - (from - begin));
      const auto there = others_.subspan(run.*there_ + (from - begin));
      from += static_cast<uint32_t>(std::ranges::mismatch(here, there).in1 - here.begin());
      if (from - begin < run.count) return from;
    }
    return from;
  }

 private:
  std::span<const AlignedRun> runs_;  // that do not end before it
  Begin here_;
  std::span<const ExitIdentity> exits_;
  Begin there_;
  std::span<const ExitIdentity> others_;
};

uint64_t kind_of(const FieldChange& change) {
  return std::hash<std::string>()(change.name) ^ (static_cast<uint64_t>(change.a.validity) << 16 |
                                                  static_cast<uint64_t>(change.b.validity) << 8);
}

}  // namespace

ExitSide exit_side(const ExitDecoder& decoder, uint64_t seq, const DecodedExit& decoded) {
  ExitSide side{seq, name_of(decoded), {}, text_of(decoder, decoded)};
  if (const auto key = exit_key(decoded.exit))
    side.key = exit_key_text(decoder.context().architecture, decoded.exit.reason, *key);
  return side;
}

VcpuChanges::VcpuChanges(DiffSide& a, DiffSide& b, uint32_t vcpu, const Alignment& alignment,
                         const DiffOptions& options, Normaliser& normaliser,
                         const KernelDifferences& kernels, ChangeLog& log, DiffTotals& totals)
    : vcpu_(vcpu),
      alignment_(alignment),
      options_(options),
      normaliser_(normaliser),
      kernels_(kernels),
      log_(log),
      totals_(totals),
      a_{a, WalkAhead(ahead_, a.reader, a.decoder, normaliser, options.selection, vcpu, a.skipped,
                      Differing(alignment.runs, &AlignedRun::a, a.exits, &AlignedRun::b, b.exits))},
      b_{b,
         WalkAhead(ahead_, b.reader, b.decoder, normaliser, options.selection, vcpu, b.skipped,
                   Differing(alignment.runs, &AlignedRun::b, b.exits, &AlignedRun::a, a.exits))} {}

void VcpuChanges::walk() {
  for (Steps* steps : {&a_, &b_}) steps->has = steps->walk.next();
  if (options_.tail != 0 && !alignment_.runs.empty()) pass_over_head(alignment_.runs.front());
  for (const AlignedRun& run : alignment_.runs) {
    replaced_until(run.a, run.b);
    for (uint32_t i = 0; i < run.count; ++i) same_or_changed();
  }
  replaced_until(static_cast<uint32_t>(a_.side.exits.size()),
                 static_cast<uint32_t>(b_.side.exits.size()));
}

// The last exits of one recording reach further back than those of the other.
void VcpuChanges::pass_over_head(const AlignedRun& first) {
  if (first.a != 0 && first.b != 0) return;
  for (; a_.next < first.a; a_.step()) --totals_.compared_a;
  for (; b_.next < first.b; b_.step()) --totals_.compared_b;
}

// What stands between two aligned runs.
void VcpuChanges::replaced_until(uint32_t a_end, uint32_t b_end) {
  const uint32_t a_begin = a_.next, b_begin = b_.next;
  if (a_begin == a_end && b_begin == b_end) return;
  LossesBetween lost_in_a(a_.side.lost, a_begin, a_end), lost_in_b(b_.side.lost, b_begin, b_end);
  const auto only_one_side_until = [&](uint32_t to_a, uint32_t to_b) {
    only_here_until(ChangeKind::kMissing, to_a, lost_in_b, totals_.lost_in_b);
    only_here_until(ChangeKind::kExtra, to_b, lost_in_a, totals_.lost_in_a);
  };
  if (a_begin == a_end || b_begin == b_end) return only_one_side_until(a_end, b_end);
  const auto pairs =
      pair_changed(std::span(a_.side.exits).subspan(a_begin, a_end - a_begin),
                   std::span(b_.side.exits).subspan(b_begin, b_end - b_begin), options_.limits);
  for (const AlignedRun& pair : pairs) {
    only_one_side_until(a_begin + pair.a, b_begin + pair.b);
    for (uint32_t i = 0; i < pair.count; ++i) same_or_changed();
  }
  only_one_side_until(a_end, b_end);
}

// A run that is longer than what the other side lost has something that it never had.
void VcpuChanges::only_here_until(ChangeKind kind, uint32_t end, LossesBetween& lost_there,
                                  uint64_t& count_lost) {
  Steps& here = kind == ChangeKind::kMissing ? a_ : b_;
  const bool is_lost = lost_there.have_room_for(end - here.next);
  for (; here.next < end; here.step()) {
    if (!is_lost) {
      only_in(kind);
    } else if (here.has) {
      lost_there.account(here.walk.seq());
      ++count_lost;
    }
  }
}

void VcpuChanges::same_or_changed() {
  // A recording that is still written may have lost what the first walk saw.
  if (a_.has && b_.has && a_.side.exits[a_.next] != b_.side.exits[b_.next])
    changed();
  else
    ++totals_.same;
  a_.step();
  b_.step();
}

// Its reason and key, which most often need no decoding: exits of equal identity have the same,
// where no rule leaves out of that what a key is made of, and addresses mean the same. (Of a
// recording that has lost exits since the first walk, groups may have another's name.)
uint64_t VcpuChanges::name_of(Steps& here) const {
  const auto decoded = [&] { return mix_exit(0, here.walk.exit(), true); };
  if (!options_.rules.ignored_fields.empty() || here.walk.failed()) return decoded();
  const uint64_t version = here.walk.slots().version();
  if (here.named_at != version) std::ranges::fill(here.named, Named{});
  here.named_at = version;
  const ExitIdentity identity = here.side.exits[here.next];
  Named& known = here.named[identity * kHashFactor >> 32 & (kNamedSize - 1)];
  if (known.hash == 0 || known.identity != identity) known = {identity, decoded()};
  return known.hash;
}

void VcpuChanges::only_in(ChangeKind kind) {
  const bool in_a = kind == ChangeKind::kMissing;
  Steps& here = in_a ? a_ : b_;
  if (!here.has) return;
  Explanations explained_by;
  if (!kernels_.all().empty()) {
    const Exit& exit = here.walk.exit();
    explained_by = kernels_.explaining(
        ChangePlace::at_exit(exit.reason),
        {in_a ? &exit : nullptr, in_a ? nullptr : &exit, false, here.walk.guest()});
  }
  if (is_ignored(explained_by)) {
    ++totals_.ignored;
    return;
  }
  ChangeLog::Found found{vcpu_,
                         kind,
                         !explained_by.empty(),
                         here.walk.time_ns(),
                         static_cast<uint64_t>(kind),
                         here.walk.guest()};
  found.says = found.explained ? mix_exit(found.says, here.walk.exit(), false)
                               : mix(found.says, name_of(here));
  found.says = mix_explanations(found.says, explained_by);
  const auto describe = [&] {
    return ExitChange{vcpu_,
                      here.walk.guest(),
                      kind,
                      in_a ? a_.here() : a_.none(),
                      in_a ? b_.none() : b_.here(),
                      {},
                      std::move(explained_by)};
  };
  log_.add(found, std::cref(describe));  // borrowed: a copy would take memory for each exit
}

void VcpuChanges::changed() {
  const DecodedExit &in_a = a_.walk.decoded(), &in_b = b_.walk.decoded();
  find_differences(a_.compared(), b_.compared(), normaliser_, kernels_, differences_);
  std::vector<FieldChange> registers =
      register_changes(a_.taken(), b_.taken(), options_.rules, kernels_, a_.walk.guest());
  const bool any = !differences_.empty() || !registers.empty();
  if (a_.lost_answer() || b_.lost_answer())
    std::erase_if(differences_, [](const FieldDifference& field) { return field.in_answer; });
  std::erase_if(differences_,
                [&](const FieldDifference& field) { return is_ignored(field.explained_by); });
  std::erase_if(registers,
                [&](const FieldChange& change) { return is_ignored(change.explained_by); });
  if (differences_.empty() && registers.empty()) {
    ++(any && !a_.lost_answer() && !b_.lost_answer() ? totals_.ignored : totals_.same);
    return;
  }
  Explanations explained_by = explained_by_each(differences_, registers);
  ChangeLog::Found found{vcpu_,
                         ChangeKind::kChanged,
                         !explained_by.empty(),
                         a_.walk.time_ns(),
                         static_cast<uint64_t>(ChangeKind::kChanged),
                         a_.walk.guest()};
  for (const DecodedExit* decoded : {&in_a, &in_b})
    found.says = mix_exit(found.says, decoded->exit, !found.explained);
  for (const FieldDifference& field : differences_)
    found.says = mix(found.says, kind_of(field, in_a, in_b));
  for (const FieldChange& change : registers) found.says = mix(found.says, kind_of(change));
  found.says = mix_explanations(found.says, explained_by);
  const auto describe = [&] {
    ExitChange change{vcpu_, a_.walk.guest(), ChangeKind::kChanged, a_.here(), b_.here(),
                      {},    explained_by};
    const Architecture architecture = a_.side.decoder.context().architecture;
    for (const FieldDifference& field : differences_)
      change.fields.push_back(described(field, architecture, a_.compared(), b_.compared()));
    std::ranges::move(registers, std::back_inserter(change.fields));
    return change;
  };
  log_.add(found, std::cref(describe));
}

bool VcpuChanges::is_ignored(const Explanations& explanations) const {
  return std::ranges::any_of(explanations, [&](const auto& explanation) {
    return std::ranges::find(options_.rules.ignored_changes, explanation.change->id) !=
           options_.rules.ignored_changes.end();
  });
}

}  // namespace kvmtape
