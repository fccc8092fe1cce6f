// arm64: the monitor injected a synchronous external abort (KVM_SET_VCPU_EVENTS,
// exception.ext_dabt_pending; da345174ceca, 5.5): the guest's oops is the monitor's answer to an
// access, the last one of that vCPU before it.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"

namespace kvmtape {
namespace {

class ExternalAbort : public Rule {
 public:
  std::string_view id() const override { return "external-abort-injected"; }
  std::string_view about() const override {
    return "arm64: the monitor injected an external abort, and for which access";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    size_t count = 0;
    const Injection* last = nullptr;
    for (const Injection& injection : all.injections) {
      if (!injection.arm_external_abort || injection.refused || !injection.after) continue;
      ++count;
      last = &injection;
    }
    if (last == nullptr) return;
    Finding finding;
    finding.evidence.push_back(*last->after);
    finding.title =
        fmt::format("The monitor injected an external abort after {}", to_string(*last->after));
    finding.confidence = 0.7;
    const VcpuStory* story = all.story_of(*last->after);
    for (const KeptExit& exit : story->last)
      if (exit.place.seq <= last->after->seq && exit.last_seq >= last->after->seq)
        if (const OwnedExit* bytes = exit.bytes_of(last->after->seq))
          finding.details.push_back(fmt::format("for {}", all.text_of(*bytes)));
    if (count > 1) finding.details.push_back(fmt::format("{} times in all", count));
    constexpr uint64_t kFewMore = 3;  // nothing much came of this vCPU after it
    if (is_close_to_end(all, *last->after, kFewMore)) finding.confidence = 0.85;
    finding.next =
        "the guest reached an address that the monitor has no device for: see which driver "
        "does, and the device tree";
    finding.change = "KVM_CAP_ARM_INJECT_EXT_DABT, da345174ceca (5.5)";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_external_abort_rule() { return std::make_unique<ExternalAbort>(); }

}  // namespace kvmtape
