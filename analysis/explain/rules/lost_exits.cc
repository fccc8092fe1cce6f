// Exits that are not in the recording, or may not be: what stands in front of a gap is not what led
// to what stands behind it, and the end may not be the end. A note, which weakens whatever else is
// said.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/base/count_text.h"
#include "schema/base/shell_word.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

class LostExits : public Rule {
 public:
  std::string_view id() const override { return kLostExitsRule; }
  std::string_view about() const override {
    return "exits are missing, or may be, which weakens the verdict";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    const auto uncounted = all.uncounted_losses();
    const std::string unclosed = unclosed_text(all.reader.health());
    if (all.lost == 0 && uncounted.empty() && unclosed.empty()) return;
    Finding finding;
    finding.is_note = true;
    finding.confidence = 1;
    const VcpuStory* worst = worst_of(all);
    if (all.exits == 0)
      finding.title = "No exit can be read: what happened cannot be known";
    else if (all.lost != 0)
      finding.title = lost_text(all, worst);
    else if (!uncounted.empty())
      finding.title = fmt::format("Exits may be missing: {}", fmt::join(uncounted, "; "));
    else
      finding.title = unclosed;
    if (worst != nullptr && !worst->last.empty()) finding.evidence.push_back(evidence_of(*worst));
    if (all.exits == 0 && all.lost != 0) finding.details.push_back(lost_text(all, worst));
    if (worst != nullptr && worst->lost_at_end != 0)
      finding.details.push_back(fmt::format(
          "the last {} of vCPU {} among them ({}): what is shown as "
          "its end is not",
          count_text(worst->lost_at_end), worst->index, to_string(worst->lost_at_end_why)));
    if (all.exits == 0 || all.lost != 0)
      for (const std::string& loss : uncounted)
        finding.details.push_back(fmt::format("more may be missing: {}", loss));
    const bool filled_up = !unclosed.empty() && all.lost_by.contains(GapReason::kRingFull);
    if (filled_up && all.exits != 0)
      finding.details.push_back(unclosed + "; rings that nobody empties fill up");
    const VcpuStory* crashed = all.crash == nullptr ? nullptr : all.story_of(all.crash->exit.place);
    if (crashed != nullptr && crashed->lost != 0)
      finding.details.push_back(
          "the vCPU that died lost some: the causes above are a tenth less certain for it");
    else if (crashed != nullptr && !uncounted.empty())
      finding.details.push_back(
          "the vCPU that died may have lost some: the causes above are a tenth less certain for "
          "it");
    finding.next = next_step(all, !uncounted.empty() || !unclosed.empty(), filled_up);
    findings.push_back(std::move(finding));
  }

 private:
  // The vCPU that lost most; where nothing was counted, the one that died.
  static const VcpuStory* worst_of(const Case& all) {
    const VcpuStory* worst = nullptr;
    for (const auto& [index, story] : all.vcpus)
      if (story.lost != 0 && (worst == nullptr || story.lost > worst->lost)) worst = &story;
    if (worst == nullptr && all.crash != nullptr) worst = all.story_of(all.crash->exit.place);
    if (worst == nullptr && !all.vcpus.empty()) worst = &all.vcpus.begin()->second;
    return worst;
  }

  static Place evidence_of(const VcpuStory& story) {
    Place evidence = story.newest.place;
    for (const KeptExit& exit : story.last)
      if (exit.lost_before != 0) evidence = exit.place;
    return evidence;
  }

  static std::string lost_text(const Case& all, const VcpuStory* worst) {
    std::string text =
        fmt::format("{} {} missing", counted(all.lost, "exit"), all.lost == 1 ? "is" : "are");
    if (worst == nullptr || worst->lost == 0 || all.reader.vcpus().size() == 1) return text;
    const bool is_all = worst->lost == all.lost;
    return text + fmt::format(", {} of vCPU {}",
                              is_all ? "all" : count_text(worst->lost) + " of them", worst->index);
  }

  // Nothing is known to be missing, but nobody said that this was the end.
  static std::string unclosed_text(const TraceHealth& health) {
    if (health.writer_alive) return "It is still being recorded: what is shown as its end is not";
    if (health.ring_writer_pid != 0)
      return fmt::format(
          "Its recorder is gone and the monitor (pid {}) runs on: what is shown as its end is not",
          health.ring_writer_pid);
    if (health.sealed || health.ring_directory.empty()) return {};
    return fmt::format("The recording was not closed, its recorder was killed: {} from rings",
                       health.ring_exits == 0 ? "nothing more is left"
                                              : counted(health.ring_exits, "exit") + " are");
  }

  // A larger ring does not help against damage, nor against the recorder's end, nor a copy against
  // a full ring.
  static std::string next_step(const Case& all, bool is_uncounted, bool filled_up) {
    const auto lost_by = [&](std::initializer_list<GapReason> reasons) {
      for (const GapReason why : reasons)
        if (all.lost_by.contains(why)) return true;
      return false;
    };
    std::vector<std::string> steps;
    if (filled_up)
      steps.emplace_back("see what ended the recorder: memory, a full disk, a signal");
    else if (lost_by({GapReason::kRingFull, GapReason::kOverwritten}))
      steps.emplace_back("record with a larger --ring, or --flight, which keeps the newest");
    if (lost_by({GapReason::kNoRing}))
      steps.push_back(all.reader.vcpus().size() > kVcpusWithRingMax
                          ? fmt::format("begin a recording anew before it has had {} vCPUs, which "
                                        "is how many it has rings for",
                                        count_text(kVcpusWithRingMax))
                          : "see to room for the rings, in memory");
    if (lost_by({GapReason::kWriteFailed}))
      steps.emplace_back("see to room where the recording is written");
    const std::string path = shell_path(all.reader.path());
    const bool is_damaged = all.reader.health().damaged_chunks != 0;
    if (is_damaged) steps.push_back(fmt::format("kvmtape verify {} says what is damaged", path));
    const bool is_copy = all.reader.health().copied_end != OpenEnd::kNone;
    const bool is_forbidden = all.reader.health().rings_forbidden;
    if (is_forbidden) steps.push_back(all.reader.health().ring_problems.front().message);
    if ((is_damaged || (is_uncounted && !is_copy && !is_forbidden)) && all.reader.exits() != 0)
      steps.push_back(
          fmt::format("kvmtape recover {} -o saved.kvmtape saves what can be read", path));
    if (!is_damaged && lost_by({GapReason::kDamaged}))
      steps.emplace_back("look for another copy: what was damaged is not in this one");
    if (is_copy) steps.emplace_back("look for a copy made while its rings were there");
    return fmt::format("{}", fmt::join(steps, "; "));
  }
};

}  // namespace

std::unique_ptr<Rule> make_lost_exits_rule() { return std::make_unique<LostExits>(); }

}  // namespace kvmtape
