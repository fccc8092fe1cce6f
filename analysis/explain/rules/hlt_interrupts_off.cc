// A vCPU halted with interrupts off and never ran again: nothing but an NMI or INIT wakes it. Linux
// does so when it has nothing left to do (panic without reboot, "System halted", a parked CPU),
// tiny guests when they are done: one that never had interrupts on is left alone. KVM_EXIT_HLT
// comes only without KVM's own interrupt controller.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class HltInterruptsOff : public Rule {
 public:
  std::string_view id() const override { return "hlt-interrupts-off"; }
  std::string_view about() const override {
    return "every vCPU ended in HLT with interrupts off: nothing wakes the guest";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic", "pvpanic"}; }
  void see(const SeenExit& seen) override {
    had_interrupts_ |= valid_field(seen.decoded.exit, "if_flag") == 1;
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!had_interrupts_) return;
    if (!all.is_x86() || all.crash != nullptr || all.vcpus.empty()) return;
    std::vector<Place> halted;
    for (const auto& [index, story] : all.vcpus) {
      if (story.last.empty() || story.lost_at_end != 0) return;
      const KeptExit& last = story.newest;
      const DecodedExit decoded = last.decoded(all.decoder);
      if (decoded.moment.ret < 0 || decoded.exit.reason != kExitHlt ||
          valid_field(decoded.exit, "if_flag") != 0)
        return;
      halted.push_back({last.place.vcpu, last.last_seq});
    }
    if (halted.empty()) return;
    Finding finding;
    finding.title = halted.size() == 1
                        ? "The guest halted with interrupts off: nothing but an NMI wakes it"
                        : fmt::format(
                              "All {} vCPUs halted with interrupts off: nothing but an NMI "
                              "wakes the guest",
                              halted.size());
    finding.confidence = 0.45;
    finding.evidence = std::move(halted);
    finding.details.push_back(
        "cannot know: whether it meant to: tiny guests end so, and Linux after a panic without "
        "panic= or \"reboot: System halted\"");
    finding.next = "read the console's last lines; a handler that returned with cleared IF";
    finding.change = "Intel SDM vol. 2, HLT";
    findings.push_back(std::move(finding));
  }

 private:
  bool had_interrupts_ = false;
};

}  // namespace

std::unique_ptr<Rule> make_hlt_interrupts_off_rule() {
  return std::make_unique<HltInterruptsOff>();
}

}  // namespace kvmtape
