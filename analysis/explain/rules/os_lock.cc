// arm64: OSLSR_EL1.OSLK is set in a vCPU that somebody debugs: since 5.18 (7dabf02f43a1) KVM
// emulates the OS Lock, which turns the guest's own debug exceptions off; before, it was ignored.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class OsLock : public Rule {
 public:
  std::string_view id() const override { return "os-lock"; }
  std::string_view about() const override {
    return "arm64: the OS Lock is set, which hides the guest's debug exceptions";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64()) return;
    constexpr uint64_t kOslk = 2, kMde = uint64_t{1} << 15, kSs = 1;
    for (const auto& [index, story] : all.vcpus) {
      const Registers registers(all.context, story.known);
      const auto oslsr = registers.get("OSLSR_EL1");
      const auto mdscr = registers.get("MDSCR_EL1");
      // Without MDSCR_EL1.MDE or SS the guest does not want any.
      if (!oslsr || (*oslsr & kOslk) == 0 || !mdscr || (*mdscr & (kMde | kSs)) == 0) continue;
      if (!registers.exit()) continue;
      Finding finding;
      finding.title = fmt::format(
          "The OS Lock of vCPU {} is set: the breakpoints, watchpoints and "
          "steps that the guest armed never fire",
          index);
      finding.confidence = 0.8;
      finding.evidence.push_back(*registers.exit());
      finding.details.push_back(fmt::format("OSLSR_EL1 {:#x}, MDSCR_EL1 {:#x} ({})", *oslsr, *mdscr,
                                            registers.origin_text()));
      finding.next =
          "the guest must write 0 to OSLAR_EL1 (Linux does when it boots a CPU); was the "
          "lock restored from a snapshot of an older kernel?";
      finding.change = "7dabf02f43a1 (5.18): KVM emulates the OS Lock; before it was ignored";
      finding.kernel_change = "arm64-os-lock";
      findings.push_back(std::move(finding));
      return;
    }
  }
};

}  // namespace

std::unique_ptr<Rule> make_os_lock_rule() { return std::make_unique<OsLock>(); }

}  // namespace kvmtape
