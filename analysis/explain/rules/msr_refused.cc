// The monitor refused an MSR (KVM_EXIT_X86_RDMSR or WRMSR, answered with msr.error): KVM raises #GP
// in the guest. A kernel that expects it gets over it (rdmsr_safe of Linux); one that dies at the
// next exits did not. complete_fast_msr_access() in arch/x86/kvm/x86.c, Linux 6.12.
#include <fmt/format.h>

#include <map>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/msr_names.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr size_t kVcpusMax = 4096;
constexpr uint64_t kCloseExits = 4;  // so near to the crash it may have led there

struct Refusal {
  Place place;
  bool is_write = false;
  uint64_t index = 0;
};

class MsrRefused : public Rule {
 public:
  std::string_view id() const override { return "msr-refused"; }
  std::string_view about() const override {
    return "the monitor refused an MSR just before the guest died: a #GP that nothing handled";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void see(const SeenExit& seen) override {
    const uint32_t reason = seen.decoded.exit.reason;
    if ((reason != kExitX86Rdmsr && reason != kExitX86Wrmsr) || !seen.decoded.has_answer) return;
    const auto index = valid_field(seen.decoded.exit, "msr.index");
    if (!index || valid_field(seen.decoded.answer, "msr.error").value_or(0) == 0) return;
    if (last_.size() >= kVcpusMax && !last_.contains(seen.item.vcpu_index)) return;
    last_[seen.item.vcpu_index] = {seen.place(), reason == kExitX86Wrmsr, *index};
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitShutdown) && !all.crashed_by(kExitInternalError)) return;
    const Place crash = all.crash->exit.place;
    const auto found = last_.find(crash.vcpu);
    if (found == last_.end() || !is_close_to_crash(all, found->second.place, kCloseExits)) return;
    const Refusal& refusal = found->second;
    const std::string_view name = msr_name(static_cast<uint32_t>(refusal.index));
    Finding finding;
    finding.title =
        fmt::format("The monitor refused {} of MSR {:#x}{}, a #GP that the guest died of",
                    refusal.is_write ? "WRMSR" : "RDMSR", refusal.index,
                    name.empty() ? "" : fmt::format(" ({})", name));
    finding.confidence = is_close_to_crash(all, refusal.place, 1) ? 0.9 : 0.6;
    finding.evidence = {refusal.place, crash};
    finding.next =
        "give the guest this MSR, or a CPUID that does not promise it; Linux survives only what it "
        "reads with rdmsr_safe";
    finding.change = "Documentation/virt/kvm/api.rst, KVM_EXIT_X86_RDMSR: error not 0 injects #GP";
    findings.push_back(std::move(finding));
  }

 private:
  std::map<uint32_t, Refusal> last_;  // by vCPU
};

}  // namespace

std::unique_ptr<Rule> make_msr_refused_rule() { return std::make_unique<MsrRefused>(); }

}  // namespace kvmtape
