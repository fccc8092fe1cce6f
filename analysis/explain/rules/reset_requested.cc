// The guest asked for the reset (or the end) through a port of a PC before its triple fault: Linux
// tries the keyboard controller, port 0xcf9, and at last a triple fault on purpose (reboot=t), with
// an IDT of limit 0 (arch/x86/kernel/reboot.c, native_machine_emergency_restart(), Linux 6.12).
#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/reset_ports.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// Requests so close to the end belong to it.
constexpr int64_t kCloseNs = 5'000'000'000;
constexpr uint64_t kFewMore = 3;  // exits behind one that was granted

class ResetRequested : public Rule {
 public:
  std::string_view id() const override { return "reset-requested"; }
  std::string_view about() const override {
    return "the guest asked for a reset through a port before it ended";
  }
  void see(const SeenExit& seen) override {
    const std::string_view request = reset_request(seen.decoded);
    if (request.empty()) return;
    last_ = request;
    place_ = seen.place();
    time_ns_ = seen.item.time_ns;
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (last_.empty()) return;
    const bool ends = all.crash == nullptr;
    if (!ends && !all.crashed_by(kExitShutdown) && !stopped_at_once(all)) return;
    if (!ends && (all.crash->exit.time_ns < time_ns_ ||
                  elapsed_ns(time_ns_, all.crash->exit.time_ns) > kCloseNs))
      return;
    if (ends && !is_close_to_end(all, place_, kFewMore)) return;
    Finding finding;
    finding.title = fmt::format("The guest asked to be reset: it {}", last_);
    finding.confidence = 0.9;
    finding.is_note = ends;  // the monitor did as it was asked: nothing died
    finding.evidence.push_back(place_);
    if (!ends) {
      finding.evidence.push_back(all.crash->exit.place);
      finding.details.push_back(
          "the monitor did not reset it, and a guest then faults on purpose: without an IDT");
    }
    finding.next = "look for why the guest restarts: its console, a watchdog, panic=, an update";
    finding.change = "Linux arch/x86/kernel/reboot.c: reboot=kbd, pci and triple";
    findings.push_back(std::move(finding));
  }

 private:
  // What raises the last fault may be an instruction that this KVM has to emulate, and cannot.
  bool stopped_at_once(const Case& all) const {
    constexpr uint64_t kFewExits = 4;
    return all.crashed_by(kExitInternalError) && is_close_to_crash(all, place_, kFewExits);
  }

  std::string_view last_;
  Place place_;
  int64_t time_ns_ = 0;
};

}  // namespace

std::unique_ptr<Rule> make_reset_requested_rule() { return std::make_unique<ResetRequested>(); }

}  // namespace kvmtape
