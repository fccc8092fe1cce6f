// Exits that are not in the recording: what stands in front of a gap is not what led to what stands
// behind it, and the end may not be the end. A note, which weakens whatever else is said.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"

namespace kvmtape {
namespace {

class LostExits : public Rule {
 public:
  std::string_view id() const override { return "lost-exits"; }
  std::string_view about() const override { return "exits are missing, which weakens the verdict"; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.lost == 0) return;
    const VcpuStory* worst = nullptr;
    for (const auto& [index, story] : all.vcpus)
      if (story.lost != 0 && story.exits != 0 && (worst == nullptr || story.lost > worst->lost))
        worst = &story;
    if (worst == nullptr || worst->last.empty()) return;
    Place evidence = worst->last.back().place;
    for (const KeptExit& exit : worst->last)
      if (exit.lost_before != 0) evidence = exit.place;
    Finding finding = note_finding(fmt::format("{} exits are missing, {} of them of vCPU {}",
                                               all.lost, worst->lost, worst->index),
                                   1.0, evidence);
    if (worst->lost_at_end != 0)
      finding.details.push_back(
          fmt::format("the last {} of vCPU {} among them ({}): what is shown as "
                      "its end is not",
                      worst->lost_at_end, worst->index, to_string(worst->lost_at_end_why)));
    const VcpuStory* crashed = all.crash == nullptr ? nullptr : all.story_of(all.crash->exit.place);
    if (crashed != nullptr && crashed->lost != 0)
      finding.details.push_back(
          "the vCPU that died lost some: the causes above are a tenth less certain for it");
    finding.next = "record with a larger --ring, or --flight, which keeps the newest";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_lost_exits_rule() { return std::make_unique<LostExits>(); }

}  // namespace kvmtape
