// The last thing of every vCPU was a long stay in KVM_RUN, ended by a signal or by nothing. With
// KVM's own interrupt controller an idle guest looks so, and so does one that spins: exits that the
// kernel handles by itself are invisible here. A note, since it cannot be told apart.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr int64_t kLongNs = 10'000'000'000;  // an idle Linux wakes more often than that

class SilentGuest : public Rule {
 public:
  std::string_view id() const override { return "silent-guest"; }
  std::string_view about() const override {
    return "every vCPU stayed in the guest for long at the end: idle, or hung";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.crash != nullptr || all.vcpus.empty() || !all.has_every_vcpu()) return;
    int64_t least = INT64_MAX;
    std::vector<Place> evidence;
    for (const auto& [index, story] : all.vcpus) {
      if (story.last.empty()) continue;  // never left, as one that waits for its first SIPI
      const KeptExit& last = story.newest;
      const int64_t behind = elapsed_ns(last.last_time_ns, all.reader.recorded_ns());
      least = std::min(least, std::max(last.guest_ns.value_or(0), last.monitor_ns ? behind : 0));
      evidence.push_back({index, last.last_seq});
    }
    if (evidence.empty() || least < kLongNs) return;
    Finding finding = note_finding(fmt::format("No vCPU left the guest for {:.0f} s at the end",
                                               static_cast<double>(least) / 1e9),
                                   0.3, evidence.front());
    finding.evidence = std::move(evidence);
    finding.details.push_back(
        "cannot know: whether it was idle or hung: halts, interrupts and faults that KVM handles "
        "by itself do not show here");
    finding.next =
        "the vCPU threads' CPU time says which (top -H); perf kvm stat shows what KVM "
        "handles by itself";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_silent_guest_rule() { return std::make_unique<SilentGuest>(); }

}  // namespace kvmtape
