// KVM_EXIT_FAIL_ENTRY on Intel: the processor refused to enter the guest. 0x80000021 is invalid
// guest state: the checks of Intel SDM vol. 3 section 27.3.1 that the registers can be held against
// are, one by one. Others are the number of a VM-instruction error.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/bit.h"
#include "replayer/arch_names/vmx.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kFailed = uint64_t{1} << 31;
constexpr uint64_t kInvalidGuestState = kFailed | 33;
constexpr uint64_t kInstructionErrors = 32;

bool canonical(uint64_t address) {
  const auto sign = static_cast<int64_t>(address) >> 47;  // 48 bits: LA57 only widens
  return sign == 0 || sign == -1;
}

class Checks {
 public:
  explicit Checks(const Case& all) : all_(all), registers_(all.at_crash) {}

  std::vector<std::string> failed() {
    control_registers();
    flags();
    segments();
    tables();
    return std::move(failed_);
  }

 private:
  uint64_t get(std::string_view name) const { return registers_.get_or(name, 0); }
  void fail(std::string text) { failed_.push_back(std::move(text)); }

  void control_registers() {
    if (!registers_.has({"cr0", "cr4", "efer"})) return;
    const uint64_t cr0 = get("cr0"), cr4 = get("cr4"), efer = get("efer");
    const bool pe = bit(cr0, 0), pg = bit(cr0, 31), pae = bit(cr4, 5), lma = bit(efer, 10);
    const std::string* unrestricted = all_.cpu_fact("kvm_intel.unrestricted_guest");
    if (pg && !pe) fail(fmt::format("CR0 ({:#x}) has PG without PE", cr0));
    if (lma && !pg) fail("EFER.LMA is set without CR0.PG");
    if (lma && !pae) fail("EFER.LMA is set without CR4.PAE");
    if (lma && !bit(efer, 8)) fail("EFER.LMA is set without EFER.LME");
    if (bit(cr4, 17) && !lma) fail("CR4.PCIDE is set outside long mode");
    if (bit(cr0, 29) && !bit(cr0, 30)) fail("CR0 has NW without CD");
    if (!pe && unrestricted != nullptr && *unrestricted == "N")
      fail("the guest is in real mode, and kvm_intel.unrestricted_guest is N");
    if (bit(cr4, 23) && !bit(cr0, 16)) fail("CR4.CET is set without CR0.WP");
  }
  void flags() {
    if (const auto rflags = registers_.get("rflags")) {
      if (!bit(*rflags, 1))
        fail(fmt::format("RFLAGS ({:#x}) lacks bit 1, which is always 1", *rflags));
      if ((*rflags & 0xffffffffffc08028) != 0)
        fail(fmt::format("RFLAGS ({:#x}) has reserved bits", *rflags));
      const bool vm = bit(*rflags, 17);
      if (vm && bit(get("efer"), 10)) fail("RFLAGS.VM is set in long mode");
      if (vm && !bit(get("cr0"), 0)) fail("RFLAGS.VM is set without CR0.PE");
    }
    const auto rip = registers_.get("rip");
    if (!rip) return;
    const bool code64 = bit(get("efer"), 10) && get("cs.l") != 0;
    if (!code64 && *rip >> 32 != 0) fail(fmt::format("RIP ({:#x}) is wider than its code", *rip));
    if (code64 && !canonical(*rip)) fail(fmt::format("RIP ({:#x}) is not canonical", *rip));
  }
  // Not in virtual-8086 mode, whose segments have rules of their own.
  void segments() {
    if (!registers_.has({"cs.type", "cs.base"}) || bit(get("rflags"), 17)) return;
    const bool protected_mode = bit(get("cr0"), 0), long_mode = bit(get("efer"), 10);
    if (long_mode && get("cs.l") != 0 && get("cs.db") != 0) fail("CS has both L and D");
    const uint64_t cs_type = get("cs.type");
    const bool code = cs_type == 9 || cs_type == 11 || cs_type == 13 || cs_type == 15;
    if (!code && !(cs_type == 3 && !protected_mode) && cs_type != 3)
      fail(fmt::format("CS has type {}, which is no accessed code segment", cs_type));
    if (get("cs.s") == 0) fail("CS is a system segment");
    if (get("cs.present") == 0) fail("CS is not present");
    if (protected_mode && get("ss.unusable") == 0 && cs_type != 3) {
      const uint64_t cs_rpl = get("cs.selector") & 3, ss_rpl = get("ss.selector") & 3;
      if (cs_rpl != ss_rpl) fail(fmt::format("SS has RPL {}, CS has {}", ss_rpl, cs_rpl));
    }
    for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) segment(name);
    if (get("tr.unusable") != 0) fail("TR is unusable");
    const uint64_t tr_type = get("tr.type");
    if (registers_.get("tr.type") && tr_type != 11 && (tr_type != 3 || long_mode))
      fail(fmt::format("TR has type {}, which is no busy TSS of this mode", tr_type));
    if ((get("tr.selector") & 4) != 0) fail("TR's selector points into the LDT");
    if (get("ldt.unusable") == 0 && registers_.get("ldt.type") && get("ldt.type") != 2 &&
        get("ldt.present") != 0)
      fail(fmt::format("LDTR has type {}, which is no LDT", get("ldt.type")));
  }
  void segment(const std::string& name) {
    if (get(name + ".unusable") != 0 || !registers_.get(name + ".limit")) return;
    const uint64_t limit = get(name + ".limit");
    const bool granular = get(name + ".g") != 0;
    if (granular && (limit & 0xfff) != 0xfff)
      fail(fmt::format("{} counts pages (G), but its limit {:#x} does not end one", name, limit));
    if (!granular && limit >> 20 != 0)
      fail(fmt::format("{} counts bytes, but its limit {:#x} is more than 1 MiB", name, limit));
    const bool wide = name == "fs" || name == "gs";
    if (wide ? !canonical(get(name + ".base")) : get(name + ".base") >> 32 != 0)
      fail(fmt::format("{} has the impossible base {:#x}", name, get(name + ".base")));
  }
  void tables() {
    for (const char* name : {"gdt", "idt"}) {
      const std::string table(name);
      if (!canonical(get(table + ".base")))
        fail(fmt::format("{} lies at {:#x}, which is not canonical", table, get(table + ".base")));
      if (get(table + ".limit") >> 16 != 0)
        fail(fmt::format("{} has the limit {:#x}, which is more than 16 bits", table,
                         get(table + ".limit")));
    }
  }

  const Case& all_;
  const Registers& registers_;
  std::vector<std::string> failed_;
};

class VmxEntryFailure : public Rule {
 public:
  std::string_view id() const override { return "vmx-entry-failure"; }
  std::string_view about() const override {
    return "an Intel processor refused to enter the guest, and which of its checks that was";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_x86() || all.is_svm() || !all.crashed_by(kExitFailEntry)) return;
    const auto code = all.crash_field("fail_entry.hardware_entry_failure_reason");
    if (!code || (*code >> 31 != 1 && *code >= kInstructionErrors)) return;
    if (*code != kInvalidGuestState) return judge_other(all, *code, findings);
    auto failed = Checks(all).failed();
    Finding finding = crash_finding(
        all,
        failed.empty() ? std::string("The processor refused the guest's state (0x80000021)")
                       : fmt::format("The processor refused the guest's state (0x80000021): {}",
                                     failed.front()),
        failed.empty() ? 0.6 : 0.92);
    for (size_t i = 1; i < failed.size(); ++i) finding.details.push_back("also: " + failed[i]);
    if (failed.empty())
      finding.details.push_back(
          all.at_crash.empty()
              ? fmt::format("cannot know which check failed: registers: {}", all.no_registers)
              : "none of the checks that registers can be held against fails: what is left is in "
                "the VMCS (activity state, interruptibility, MSRs, PDPTEs); "
                "kvm.dump_invalid_vmcs=1 "
                "prints it");
    finding.next =
        "compare what the monitor gave to KVM_SET_SREGS and KVM_SET_REGS; on old processors a "
        "guest between real and protected mode (kvm_intel.emulate_invalid_guest_state)";
    finding.change = "Intel SDM vol. 3 section 27.3.1, checks on the guest-state area";
    findings.push_back(std::move(finding));
  }

 private:
  static void judge_other(const Case& all, uint64_t code, std::vector<Finding>& findings) {
    Finding finding = crash_finding(
        all, fmt::format("The processor refused to enter the guest: {}", vmx_fail_entry_text(code)),
        0.8);
    const bool controls = code == 7 || code == 8;
    finding.next = controls
                       ? "the controls or the host's state that KVM set up are at fault, not the "
                         "guest: nested virtualization, microcode, a bug of KVM; see dmesg with "
                         "kvm.dump_invalid_vmcs=1"
                       : "see dmesg of the host, with kvm.dump_invalid_vmcs=1";
    finding.change = "Intel SDM vol. 3 section 31.4, VM-instruction error numbers";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_vmx_entry_failure_rule() { return std::make_unique<VmxEntryFailure>(); }

}  // namespace kvmtape
