// arm64: an SError that the monitor injected, or that is pending in the vCPU that died
// (kvm_vcpu_events, exception.serror_pending).
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/esr.h"

namespace kvmtape {
namespace {

class SerrorRule : public Rule {
 public:
  std::string_view id() const override { return "serror"; }
  std::string_view about() const override { return "arm64: an SError was injected or is pending"; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64()) return;
    for (auto injection = all.injections.rbegin(); injection != all.injections.rend();
         ++injection) {
      if (!injection->arm_serror || injection->refused || !injection->after) continue;
      Finding finding;
      finding.title = fmt::format("The monitor injected an {} after {}", injection->what,
                                  to_string(*injection->after));
      finding.confidence = 0.75;
      finding.evidence.push_back(*injection->after);
      finish(finding);
      findings.push_back(std::move(finding));
      return;
    }
    if (all.crash == nullptr || all.at_crash.get_or("exception.serror_pending", 0) == 0) return;
    Finding finding = crash_finding(all, "An SError is pending in the vCPU", 0.6);
    if (all.at_crash.get_or("exception.serror_has_esr", 0) != 0)
      finding.details.push_back(
          esr_text(decode_esr(all.at_crash.get_or("exception.serror_esr", 0), false)));
    finish(finding);
    findings.push_back(std::move(finding));
  }

 private:
  static void finish(Finding& finding) {
    finding.next =
        "an SError is an asynchronous hardware error, or a write to an address without a "
        "device: see the host's dmesg and who injects it";
    finding.change = "KVM_CAP_ARM_INJECT_SERROR_ESR, Documentation/virt/kvm/api.rst, 4.32";
  }
};

}  // namespace

std::unique_ptr<Rule> make_serror_rule() { return std::make_unique<SerrorRule>(); }

}  // namespace kvmtape
