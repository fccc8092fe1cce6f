// KVM_EXIT_FAIL_ENTRY on arm64, bit 0: the vCPU was run on a CPU that it cannot run on, 32-bit EL0
// or a PMU that only some CPUs have. arch/arm64/kvm/arm.c, kvm_arch_vcpu_ioctl_run(), Linux 6.12.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class CpuUnsupported : public Rule {
 public:
  std::string_view id() const override { return "cpu-unsupported"; }
  std::string_view about() const override {
    return "an arm64 vCPU was run on a host CPU that cannot run it";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64() || !all.crashed_by(kExitFailEntry)) return;
    const auto reason = all.crash_field("fail_entry.hardware_entry_failure_reason");
    constexpr uint64_t kCpuUnsupported = 1;
    if (!reason || (*reason & kCpuUnsupported) == 0) return;
    const auto cpu = all.crash_field("fail_entry.cpu");
    Finding finding = crash_finding(
        all,
        fmt::format("The vCPU's thread ran on host CPU {}, which cannot run this vCPU",
                    cpu ? fmt::format("{}", *cpu) : std::string("?")),
        0.95);
    finding.next =
        "pin the thread to the CPUs that have the vCPU's PMU (KVM_ARM_VCPU_PMU_V3_SET_PMU) "
        "or 32-bit EL0";
    finding.change = "KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED, Documentation/virt/kvm/api.rst";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_cpu_unsupported_rule() { return std::make_unique<CpuUnsupported>(); }

}  // namespace kvmtape
