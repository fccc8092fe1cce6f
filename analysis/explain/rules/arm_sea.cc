// KVM_EXIT_ARM_SEA (6.19): a synchronous external abort on the guest's memory that the host did not
// claim: mostly an uncorrected memory error. arch/arm64/kvm/mmu.c, kvm_handle_guest_sea().
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/esr.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class ArmSea : public Rule {
 public:
  std::string_view id() const override { return "arm-sea"; }
  std::string_view about() const override {
    return "arm64: the guest met a hardware memory error that user space was told of";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64() || !all.crashed_by(kExitArmSea)) return;
    const auto esr = all.crash_field("arm_sea.esr");
    const auto gpa = all.crash_field("arm_sea.gpa");
    Finding finding = crash_finding(
        all,
        fmt::format("A synchronous external abort on guest memory{}: a hardware memory error",
                    gpa ? fmt::format(" at {:#x}", *gpa) : std::string()),
        0.9);
    if (esr) finding.details.push_back(esr_text(decode_arm_sea(*esr)));
    if (!gpa) finding.details.push_back("cannot know: the guest physical address: not valid here");
    if (all.crash->exits_behind != 0)
      finding.details.push_back("the monitor passed it on and the guest went on");
    finding.next =
        "see the host's dmesg and the memory controller's error counts; the monitor should "
        "inject an external abort into the guest";
    finding.change = "KVM_EXIT_ARM_SEA, ad9c62bd8946 (6.19); KVM_CAP_ARM_SEA_TO_USER";
    finding.kernel_change = "arm64-sea";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_arm_sea_rule() { return std::make_unique<ArmSea>(); }

}  // namespace kvmtape
