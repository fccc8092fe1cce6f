// arm64: ESR_EL1 of the guest with bits 63:32 all ones. That is no syndrome (ISS2 ends at bit 55):
// a 32-bit value was sign-extended on its way, as kernels around 6.1 do where EC << 26 is an int.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/esr.h"

namespace kvmtape {
namespace {

class EsrSignExtension : public Rule {
 public:
  std::string_view id() const override { return "esr-sign-extension"; }
  std::string_view about() const override {
    return "arm64: the guest's ESR_EL1 was sign-extended: its upper half means nothing";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64()) return;
    for (const auto& [index, story] : all.vcpus) {
      const Registers registers(all.context, story.known);
      const auto esr = registers.get("ESR_EL1");
      if (!esr || *esr >> 32 != 0xffffffff || !registers.exit()) continue;
      Finding finding = note_finding(
          fmt::format(
              "ESR_EL1 of vCPU {} is {:#x}: bits 63:32 come from sign extension, not from the "
              "processor",
              index, *esr),
          0.8, *registers.exit());
      finding.details.push_back(
          fmt::format("its lower half says: {}", esr_text(decode_esr(*esr & 0xffffffff, false))));
      finding.next = "ignore bits 63:32; a guest that reads ISS2 (FEAT_LS64, MTE) is misled by it";
      finding.change =
          "the ESR became 64 bits wide in 5.19; kernels around 6.1 extend EC << 26 by sign";
      finding.kernel_change = "arm64-esr-sign";
      findings.push_back(std::move(finding));
      return;
    }
  }
};

}  // namespace

std::unique_ptr<Rule> make_esr_sign_extension_rule() {
  return std::make_unique<EsrSignExtension>();
}

}  // namespace kvmtape
