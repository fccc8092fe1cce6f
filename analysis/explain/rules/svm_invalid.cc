// KVM_EXIT_FAIL_ENTRY on AMD: VMRUN failed with VMEXIT_INVALID (-1): the state or the controls are
// illegal. The checks of AMD APM vol. 2 section 15.5.1 that registers can be held against.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/bit.h"
#include "replayer/arch_names/svm.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

std::vector<std::string> failed_checks(const Registers& registers) {
  std::vector<std::string> failed;
  if (!registers.has({"cr0", "cr4", "efer"})) return failed;
  const uint64_t cr0 = registers.get_or("cr0", 0), cr4 = registers.get_or("cr4", 0),
                 efer = registers.get_or("efer", 0);
  const bool pe = bit(cr0, 0), pg = bit(cr0, 31), pae = bit(cr4, 5), lme = bit(efer, 8);
  if (bit(cr0, 29) && !bit(cr0, 30)) failed.push_back("CR0 has NW without CD");
  if (cr0 >> 32 != 0) failed.push_back(fmt::format("CR0 ({:#x}) has bits above 31", cr0));
  if (lme && pg && !pae) failed.push_back("EFER.LME and CR0.PG are set without CR4.PAE");
  if (lme && pg && !pe) failed.push_back("EFER.LME and CR0.PG are set without CR0.PE");
  if (lme && pg && pae && registers.get_or("cs.l", 0) != 0 && registers.get_or("cs.db", 0) != 0)
    failed.push_back("CS has both L and D in long mode");
  if ((efer & ~uint64_t{0x1f7fff}) != 0)
    failed.push_back(fmt::format("EFER ({:#x}) has reserved bits", efer));
  for (const char* name : {"dr6", "dr7"})
    if (registers.get_or(name, 0) >> 32 != 0)
      failed.push_back(fmt::format("{} has bits above 31", name));
  return failed;
}

class SvmInvalid : public Rule {
 public:
  std::string_view id() const override { return "svm-invalid"; }
  std::string_view about() const override {
    return "an AMD processor refused to enter the guest, and which of its checks that was";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_x86() || all.is_vmx() || !all.crashed_by(kExitFailEntry)) return;
    const auto code = all.crash_field("fail_entry.hardware_entry_failure_reason");
    if (!code) return;
    const bool invalid = *code == ~uint64_t{0} || *code == 0xffffffff;
    if (!invalid && !all.is_svm()) return;
    const auto failed = invalid ? failed_checks(all.at_crash) : std::vector<std::string>{};
    const std::string code_text = svm_exit_code_text(*code);
    Finding finding = crash_finding(
        all,
        failed.empty() ? fmt::format("VMRUN refused the guest's state or controls: {}", code_text)
                       : fmt::format("VMRUN refused the guest's state: {}", failed.front()),
        failed.empty() ? 0.65 : 0.92);
    for (size_t i = 1; i < failed.size(); ++i)
      finding.details.push_back(fmt::format("also: {}", failed[i]));
    if (failed.empty() && all.at_crash.empty())
      finding.details.push_back(
          fmt::format("cannot know which check failed: registers: {}", all.no_registers));
    else if (failed.empty())
      finding.details.push_back(
          "none of the checks that registers can be held against fails: what is left is in the "
          "VMCB's controls; kvm_amd.dump_invalid_vmcb=1 prints it");
    finding.next =
        "compare what the monitor gave to KVM_SET_SREGS; with nested virtualization, what "
        "the level below supports";
    finding.change = "AMD APM vol. 2 section 15.5.1, canonicalization and consistency checks";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_svm_invalid_rule() { return std::make_unique<SvmInvalid>(); }

}  // namespace kvmtape
