// The monitor's thread did not come back to KVM_RUN for long: the guest's clock jumps, its
// watchdogs bark, its peers time out. Exits on which a monitor waits for a reason are left out:
// halts, pauses (after EINTR), a debugger's traps, a CPU that waits to be started.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr int64_t kLongNs = 1'000'000'000;       // a guest's timers and peers notice
constexpr int64_t kWatchdogNs = 20'000'000'000;  // Linux's soft lockup: 2 * watchdog_thresh
constexpr size_t kShown = 3;

struct Absence {
  int64_t ns = 0;
  Place place;
  std::string what;
};

class MonitorAway : public Rule {
 public:
  std::string_view id() const override { return "monitor-away"; }
  std::string_view about() const override {
    return "the monitor's thread left the guest waiting for more than a second";
  }
  void see(const SeenExit& seen) override {
    const int64_t away = seen.item.monitor_ns.value_or(0);
    if (away < kLongNs || seen.decoded.moment.ret < 0) return;
    switch (seen.decoded.exit.reason) {
      case kExitHlt:
      case kExitIntr:
      case kExitDebug:
      case kExitApResetHold:
      case kExitIrqWindowOpen:
      case kExitSystemEvent:
      case kExitShutdown:
      case kExitInternalError:
      case kExitFailEntry:
        return;
      default:
        break;
    }
    ++count_;
    longest_.push_back({away, seen.place(), name_of(seen.decoded)});
    std::ranges::sort(longest_, std::greater{}, &Absence::ns);
    if (longest_.size() > kShown) longest_.pop_back();
  }
  void judge(const Case&, std::vector<Finding>& findings) override {
    if (longest_.empty()) return;
    const Absence& worst = longest_.front();
    Finding finding;
    finding.title = fmt::format("The monitor took {:.1f} s to answer {}, and vCPU {} stood still",
                                static_cast<double>(worst.ns) / 1e9, worst.what, worst.place.vcpu);
    finding.confidence = worst.ns >= kWatchdogNs ? 0.65 : 0.45;
    for (const Absence& absence : longest_) finding.evidence.push_back(absence.place);
    if (count_ > 1) finding.details.push_back(fmt::format("{} times longer than a second", count_));
    if (worst.ns >= kWatchdogNs)
      finding.details.push_back("longer than Linux's soft lockup watchdog waits");
    finding.next =
        "what the device behind this exit waited for: a disk, a lock, the host's CPU "
        "(cgroup throttling, SIGSTOP, migration)";
    findings.push_back(std::move(finding));
  }

 private:
  uint64_t count_ = 0;
  std::vector<Absence> longest_;
};

}  // namespace

std::unique_ptr<Rule> make_monitor_away_rule() { return std::make_unique<MonitorAway>(); }

}  // namespace kvmtape
