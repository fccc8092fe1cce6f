// KVM_SYSTEM_EVENT_SEV_TERM: a SEV-ES or SEV-SNP guest asked the hypervisor to end it, with a code.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/confidential.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class SevTermination : public Rule {
 public:
  std::string_view id() const override { return "sev-termination"; }
  std::string_view about() const override {
    return "a SEV-ES or SEV-SNP guest asked to be ended, and its code";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitSystemEvent) || all.crash_field("system_event.type") != kEventSevTerm)
      return;
    const auto msr = all.crash_field("system_event.data", 0);
    Finding finding = crash_finding(
        all,
        msr ? fmt::format("The confidential guest gave up: {}", ghcb_termination_text(*msr))
            : std::string("The confidential guest asked to be ended"),
        0.95);
    if (!msr) finding.details.push_back("cannot know: its code was not handed over");
    finding.next =
        msr && decode_ghcb_termination(*msr).through_page
            ? "look for \"SEV-ES guest requested termination\" in the host's kernel log"
            : "the code names what the guest did not find: the protocol's version, a feature, a "
              "validated page, the CPUID page; see OVMF's and the kernel's early log";
    finding.change = "AMD 56421 (GHCB) section 2.3.1; KVM_SYSTEM_EVENT_SEV_TERM";
    finding.kernel_change = "x86-sev-term";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_sev_termination_rule() { return std::make_unique<SevTermination>(); }

}  // namespace kvmtape
