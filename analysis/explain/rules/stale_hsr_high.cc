// arm64: debug.arch.hsr_high holds bits that no kernel wrote for this exit, since
// KVM_DEBUG_ARCH_HSR_HIGH_VALID is not set: a monitor that reads it takes leftovers for ISS2.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class StaleHsrHigh : public Rule {
 public:
  std::string_view id() const override { return "stale-hsr-high"; }
  std::string_view about() const override {
    return "arm64: debug exits carry leftovers in hsr_high, to be ignored";
  }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    if (exit.reason != kExitDebug || seen.decoded.moment.ret < 0) return;
    const Field* high = exit.find("debug.arch.hsr_high");
    if (high == nullptr || high->validity == Validity::kValid) return;
    bool leftover = false;
    for (const uint8_t byte : raw_bytes(*high, seen.decoded.moment)) leftover |= byte != 0;
    if (!leftover) return;
    if (count_ == 0) first_ = seen.first();
    count_ += seen.count;
    last_ = seen.place();
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64() || count_ == 0) return;
    Finding finding = note_finding(
        fmt::format("{} debug exit{} leftover bits in hsr_high: a monitor that reads it without "
                    "KVM_DEBUG_ARCH_HSR_HIGH_VALID reads them as real",
                    count_, count_ == 1 ? " has" : "s have"),
        0.9, first_);
    if (last_ != first_) finding.evidence.push_back(last_);
    finding.next = "use hsr_high only under its flag (bit 0 of kvm_run.flags)";
    finding.change =
        "18f3976fdb5d (5.19) added hsr_high and the flag; before, these bytes are padding";
    finding.kernel_change = "arm64-hsr-high";
    findings.push_back(std::move(finding));
  }

 private:
  uint64_t count_ = 0;
  Place first_, last_;
};

}  // namespace

std::unique_ptr<Rule> make_stale_hsr_high_rule() { return std::make_unique<StaleHsrHigh>(); }

}  // namespace kvmtape
