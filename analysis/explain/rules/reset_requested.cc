// The guest asked for the reset (or the end) through a port of a PC before its triple fault: Linux
// tries the keyboard controller, port 0xcf9, and at last a triple fault on purpose (reboot=t), with
// an IDT of limit 0 (arch/x86/kernel/reboot.c, native_machine_emergency_restart(), Linux 6.12).
// A guest that was reset begins anew: what it dies of then has nothing to do with the request.
#include <fmt/format.h>

#include "analysis/explain/directly_before.h"
#include "analysis/explain/reset_ports.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// Requests so close to the end belong to it.
constexpr int64_t kCloseNs = 5'000'000'000;
constexpr uint64_t kFewMore = 3;  // exits behind one that was granted
// So often no guest restarts for good reasons, and it need not have ended at the last time. Linux
// asks ten times for one reset.
constexpr uint64_t kMany = 20;

class ResetRequested : public Rule {
 public:
  std::string_view id() const override { return "reset-requested"; }
  std::string_view about() const override {
    return "the guest asked for a reset through a port before it ended";
  }
  void see(const SeenExit& seen) override {
    const std::string_view request = reset_request(seen.decoded);
    requests_.see(seen, request.empty() ? std::nullopt : std::optional(request));
    if (request.empty()) return;
    if (count_ == 0) first_ns_ = seen.first_ns;
    count_ += seen.count;
    last_ = request;
    last_ns_ = seen.item.time_ns;
    place_ = seen.place();
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.crash != nullptr) return judge_crash(all, findings);
    if (last_.empty() || (count_ < kMany && !is_close_to_end(all, place_, kFewMore))) return;
    Finding finding = finding_of(last_, place_);
    if (count_ > 1) finding.title = title_of_many(all);
    finding.is_note = true;  // the monitor did as it was asked: nothing died
    findings.push_back(std::move(finding));
  }

 private:
  static Finding finding_of(std::string_view request, const Place& place) {
    Finding finding;
    finding.title = fmt::format("The guest asked to be reset: it {}", request);
    finding.confidence = 0.9;
    finding.evidence.push_back(place);
    finding.next = "look for why the guest restarts: its console, a watchdog, panic=, an update";
    finding.change = "Linux arch/x86/kernel/reboot.c: reboot=kbd, pci and triple";
    return finding;
  }
  // What raises the last fault may be an instruction that this KVM has to emulate, and cannot.
  void judge_crash(const Case& all, std::vector<Finding>& findings) const {
    if (!all.crashed_by(kExitShutdown) && !all.crashed_by(kExitInternalError)) return;
    const auto* request = requests_.before_crash(all);
    if (request == nullptr || elapsed_ns(request->time_ns, all.crash->exit.time_ns) > kCloseNs)
      return;
    const auto& set_after = all.crash->registers_set_after;
    if (set_after && set_after->seq >= request->place.seq) return;  // it was reset
    Finding finding = finding_of(request->deed, request->place);
    finding.evidence.push_back(all.crash->exit.place);
    if (request->missing != 0) {
      finding.confidence = 0.5;
      finding.details.push_back(
          fmt::format("cannot know: whether the guest went on: {} between the two {} missing",
                      request->missing == 1 ? "an exit" : fmt::format("{} exits", request->missing),
                      request->missing == 1 ? "is" : "are"));
    } else if (!all.has_calls) {
      finding.confidence = 0.7;
      finding.details.push_back(
          "cannot know: whether the monitor reset it, since none of its calls was recorded; where "
          "it does not, a guest then faults on purpose: without an IDT");
    } else {
      finding.details.push_back(
          "nothing stands between the two: the monitor did not reset it, and a guest then faults "
          "on purpose: without an IDT");
    }
    findings.push_back(std::move(finding));
  }

  DirectlyBefore<std::string_view> requests_;
  std::string title_of_many(const Case& all) const {
    const double seconds = static_cast<double>(elapsed_ns(first_ns_, last_ns_)) / 1e9;
    const bool has_clock = all.reader.session().clock_name != kNoClock;
    return fmt::format("The guest asked to be reset {} times{}, the last time it {}", count_,
                       has_clock ? fmt::format(" in {:.1f} s", seconds) : "", last_);
  }

  uint64_t count_ = 0;  // of requests, whichever vCPU's
  int64_t first_ns_ = 0, last_ns_ = 0;
  std::string_view last_;
  Place place_;
};

}  // namespace

std::unique_ptr<Rule> make_reset_requested_rule() { return std::make_unique<ResetRequested>(); }

}  // namespace kvmtape
