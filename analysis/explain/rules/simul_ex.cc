// KVM_INTERNAL_ERROR_SIMUL_EX: an exception that KVM must emulate, raised while another was being
// delivered. vmx.c, handle_exception_nmi(), Linux 6.12.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/vmx.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class SimulEx : public Rule {
 public:
  std::string_view id() const override { return "simul-ex"; }
  std::string_view about() const override {
    return "a second exception while one was being delivered, with an instruction that KVM "
           "emulates";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitInternalError) ||
        all.crash_field("internal.suberror") != kSuberrorSimulEx)
      return;
    const auto vectoring = all.crash_field("internal.data", 0);
    const auto second = all.crash_field("internal.data", 1);
    Finding finding = crash_finding(
        all,
        vectoring && second
            ? fmt::format("While {} was being delivered came {}, and KVM handles no two at once",
                          vmx_event_info_text(static_cast<uint32_t>(*vectoring)),
                          vmx_event_info_text(static_cast<uint32_t>(*second)))
            : std::string("Two exceptions at once, which KVM does not handle"),
        0.85);
    if (!second)
      finding.details.push_back("cannot know: which: this kernel did not hand them over");
    if (const auto code = all.crash_field("internal.data", 2))
      finding.details.push_back(fmt::format("error code {:#x}", *code));
    finding.next =
        "the first exception's handler, gate or stack is broken: see IDT, TSS and stack; "
        "a host without EPT (kvm_intel.ept=N) meets this far more often";
    finding.change = "only VMX reports it: handle_exception_nmi() in arch/x86/kvm/vmx/vmx.c";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_simul_ex_rule() { return std::make_unique<SimulEx>(); }

}  // namespace kvmtape
