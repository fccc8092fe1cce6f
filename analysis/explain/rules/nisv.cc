// arm64: a data abort on an address without memory, by an instruction that the processor does not
// describe (ISV clear): load or store pair, with writeback, SIMD, a cache or atomic instruction.
// KVM hands it over as KVM_EXIT_ARM_NISV where KVM_CAP_ARM_NISV_TO_USER is on, else KVM_RUN fails
// with ENOSYS. io_mem_abort() in arch/arm64/kvm/mmio.c, Linux 6.12.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/esr.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr std::string_view kFix =
    "device memory must be reached with plain loads and stores (readl, writel, one register, no "
    "writeback): see the driver, memcpy instead of memcpy_fromio, a compiler that merged accesses; "
    "or the address is wrong";

class Nisv : public Rule {
 public:
  std::string_view id() const override { return "nisv"; }
  std::string_view about() const override {
    return "arm64: an instruction that KVM cannot emulate reached an address without memory";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64() || all.crash == nullptr) return;
    if (errno_of(all.decoded_crash.moment.ret) == kErrorNoSys) {
      Finding finding = crash_finding(
          all,
          "KVM_RUN failed with ENOSYS: the guest reached an address without memory with an "
          "instruction that KVM cannot emulate",
          0.85);
      finding.details.push_back(
          "cannot know: address and instruction: KVM_CAP_ARM_NISV_TO_USER (177) hands them over");
      add_pc(all, finding);
      finding.next = kFix;
      finding.change = "KVM_EXIT_ARM_NISV, c726200dd106 (5.5)";
      findings.push_back(std::move(finding));
      return;
    }
    if (!all.crashed_by(kExitArmNisv) || all.crash->exits_behind != 0) return;
    const auto ipa = all.crash_field("arm_nisv.fault_ipa");
    const auto iss = all.crash_field("arm_nisv.esr_iss");
    if (!ipa || !iss) return;
    const bool is_write = decode_arm_nisv(*iss).value_of("wnr") != 0;
    Finding finding = crash_finding(
        all,
        fmt::format("The guest {} {:#x}, where no memory is, with an instruction that KVM cannot "
                    "emulate, and the monitor did not either",
                    is_write ? "wrote to" : "read from", *ipa),
        0.88);
    add_pc(all, finding);
    finding.next = kFix;
    finding.change = "KVM_EXIT_ARM_NISV, c726200dd106 (5.5); KVM_CAP_ARM_NISV_TO_USER";
    findings.push_back(std::move(finding));
  }

 private:
  static void add_pc(const Case& all, Finding& finding) {
    if (const auto instruction = instruction_in_memory(all))
      finding.details.push_back(fmt::format("the instruction is \"{}\"", instruction->text));
    if (const auto pc = all.at_crash.get("PC"))
      finding.details.push_back(fmt::format("the instruction stands at {:#x}", *pc));
    else
      finding.details.push_back(fmt::format("cannot know where: {}",
                                            all.no_registers.empty()
                                                ? "PC is not among the registers that were recorded"
                                                : "registers: " + all.no_registers));
  }
};

}  // namespace

std::unique_ptr<Rule> make_nisv_rule() { return std::make_unique<Nisv>(); }

}  // namespace kvmtape
