#include "analysis/explain/explain.h"

#include <algorithm>

#include "analysis/explain/rules.h"
#include "analysis/repeated_exits.h"
#include "analysis/session_context.h"

namespace kvmtape {
namespace {

// A finding that another explains is no second cause.
void weigh(const std::vector<std::unique_ptr<Rule>>& rules, std::vector<Finding>& findings) {
  std::vector<double> weighed;
  for (const Finding& finding : findings) {
    const auto rule = std::ranges::find(rules, finding.rule, [](const auto& r) { return r->id(); });
    const auto above = rule == rules.end() ? std::vector<std::string_view>{} : (*rule)->yields_to();
    const bool explained = std::ranges::any_of(findings, [&](const Finding& other) {
      return other.confidence >= finding.confidence / 2 && !other.is_note &&
             std::ranges::find(above, other.rule) != above.end();
    });
    weighed.push_back(explained ? finding.confidence / 2 : finding.confidence);
  }
  for (size_t i = 0; i < findings.size(); ++i) findings[i].confidence = weighed[i];
}

// What a rule concludes from an exit that follows a gap, or is the last that can be read, may rest
// on what is missing.
void weaken_after_loss(const Case& all, std::vector<Finding>& findings) {
  if (all.crash == nullptr) return;
  const VcpuStory* story = all.story_of(all.crash->exit.place);
  if (story == nullptr || (story->lost == 0 && all.uncounted_losses().empty())) return;
  constexpr double kWithLoss = 0.9;
  for (Finding& finding : findings)
    if (!finding.is_note) finding.confidence *= kWithLoss;
}

// To the rules a repeat is the last of its exits, with how many they are. Nothing is shown of one
// whose exit is not selected.
void see_repeat(const Item& repeat, Case& all, const std::vector<std::unique_ptr<Rule>>& rules) {
  const RepeatedExits exits = repeated_exits(repeat, all.reader);
  const KeptExit* of = all.exit_before(repeat.vcpu_index, exits.first_seq);
  if (of == nullptr) return all.take(repeat, nullptr);
  const DecodedExit decoded = of->decoded(all.decoder);
  RecordedExit recorded = of->recorded_exit();
  recorded.seq = exits.last_seq;
  Item last;
  last.vcpu_index = repeat.vcpu_index;
  last.exit = &recorded;
  last.stream = repeat.stream;
  last.time_ns = exits.last_ns;
  last.monitor_ns = all.reader.ticks_to_ns(repeat.repeat.monitor_ticks_max);
  last.seq = exits.last_seq;
  for (const auto& rule : rules)
    rule->see({last, decoded, repeat.repeat.count, exits.first_seq, exits.first_ns});
  all.take(repeat, &decoded);
}

}  // namespace

Explanation explain(TraceReader& reader, const Selection& selection) {
  Explanation result;
  result.decoder = std::make_unique<ExitDecoder>(decode_context_of(reader.session()));
  result.all = std::make_unique<Case>(reader, *result.decoder);
  Case& all = *result.all;
  const auto rules = all_rules();
  Selection with_calls = selection;
  if (!with_calls.vcpus.empty()) with_calls.vcpus.push_back(kSessionStream);
  DecodedExit decoded;
  Item item;
  for (reader.rewind(with_calls); reader.next(item);) {
    if (item.kind == Item::Kind::kExit) {
      decode_both(*result.decoder, *item.exit, decoded);
      for (const auto& rule : rules) rule->see({item, decoded, 1, item.seq, item.time_ns});
    }
    if (item.kind == Item::Kind::kRepeat)
      see_repeat(item, all, rules);
    else
      all.take(item, &decoded);
  }
  all.choose_crash();
  reader.check();  // what was not selected may be damaged as well: uncounted_losses()

  std::vector<Finding> findings;
  for (const auto& rule : rules) {
    const size_t before = findings.size();
    rule->judge(all, findings);
    for (size_t i = before; i < findings.size(); ++i) findings[i].rule = rule->id();
  }
  weigh(rules, findings);
  weaken_after_loss(all, findings);
  std::ranges::stable_sort(findings, std::greater{}, &Finding::confidence);
  for (Finding& finding : findings)
    (finding.is_note ? result.notes : result.causes).push_back(std::move(finding));
  return result;
}

}  // namespace kvmtape
