// KVM_INTERNAL_ERROR_EMULATION: KVM had to execute an instruction in software and could not. The
// words behind the flags (exit_reason, info1, info2, intr_info, error_code; since 5.16,
// e615e355894e, "not ABI") say why it had to: prepare_emulation_failure_exit() in
// arch/x86/kvm/x86.c, Linux 6.12.
#include <fmt/format.h>

#include <optional>
#include <string>

#include "analysis/exit_numbers.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/vmx.h"

namespace kvmtape {
namespace {

constexpr uint64_t kVmxException = 0, kVmxEptViolation = 48, kVmxEptMisconfig = 49;
constexpr uint64_t kSvmNestedPageFault = 0x400, kSvmExceptions = 0x40, kSvmGp = 0x4d;
constexpr uint64_t kVmxBasic = 0xffff;

struct Why {
  std::string text;
  std::string next;
  std::optional<uint64_t> target;  // guest physical
  double confidence = 0.7;
};

// internal.data behind the flags and the instruction: 0 is exit_reason.
std::optional<uint64_t> debug_word(const Case& all, int number) {
  const auto flags = all.crash_field("emulation_failure.flags");
  const auto ndata = all.crash_field("internal.ndata");
  if (!flags || !ndata) return std::nullopt;
  const int first = (*flags & 1) != 0 ? 3 : 1;
  if (*ndata < static_cast<uint64_t>(first) + 5) return std::nullopt;
  return all.crash_field("internal.data", first + number);
}

bool parameter_is_off(const Case& all, std::string_view name) {
  const std::string* value = all.cpu_fact(name);
  return value != nullptr && (*value == "N" || *value == "0");
}

Why mmio_why(const Case& all, std::optional<uint64_t> target) {
  Why why;
  why.target = target;
  why.confidence = 0.9;
  const MemorySlots::Slot* slot = target ? all.slots.find(*target) : nullptr;
  const std::string where = target ? fmt::format(" at guest physical {:#x}", *target) : "";
  if (slot != nullptr && slot->read_only)
    why.text = fmt::format("it writes to a read-only memory slot{}", where);
  else if (target && all.slots.is_outside(*target))
    why.text =
        fmt::format("it touches an address without memory{}: KVM takes that for a device", where);
  else
    why.text = fmt::format("it touches memory that KVM must emulate{}: a device's, or none", where);
  why.next =
      "a pointer into a device's memory or into a hole: see who made it; device memory must be "
      "reached with plain MOVs (readl, writel), not with SSE, AVX, x87 or string code";
  return why;
}

bool is_in_real_mode_without_help(const Case& all) {
  return all.is_vmx() && x86_operation(all.at_crash) == X86Operation::kReal &&
         parameter_is_off(all, "kvm_intel.unrestricted_guest");
}

bool is_exception(const Case& all, uint64_t reason) {
  return (all.is_vmx() && (reason & kVmxBasic) == kVmxException) ||
         (all.is_svm() && reason >= kSvmExceptions && reason < kSvmExceptions + 32);
}

// What the hardware exit alone says, in words.
Why plain_why(const Case& all, std::optional<uint64_t> reason) {
  Why why;
  why.next = "see what the instruction touches: a device's memory, a page table, a port";
  why.confidence = 0.6;
  if (!reason)
    why.text = "cannot know: this kernel did not say which hardware exit led to emulation";
  else if (all.is_vmx())
    why.text = fmt::format("the hardware exit was {}",
                           vmx_exit_reason_text(static_cast<uint32_t>(*reason)));
  else if (all.is_svm())
    why.text = fmt::format("the hardware exit was {}", svm_exit_code_text(*reason));
  else
    why.text = fmt::format(
        "cannot know: the hardware exit was {:#x}, and neither VMX nor SVM is known to have run "
        "here "
        "(nested software virtualization emulates more than hardware does)",
        *reason);
  return why;
}

// Why the instruction was emulated at all.
Why why_emulated(const Case& all) {
  const auto reason = debug_word(all, 0);
  if (is_in_real_mode_without_help(all))
    return {
        "the guest is in real mode and this processor has no unrestricted guest: KVM emulates "
        "all of it",
        "use a processor (or nested level) with unrestricted guest, or enter the guest in "
        "protected mode",
        std::nullopt, 0.85};
  if (reason && all.is_svm() && *reason == kSvmNestedPageFault)
    return mmio_why(all, debug_word(all, 2));
  if (reason && all.is_vmx() &&
      ((*reason & kVmxBasic) == kVmxEptViolation || (*reason & kVmxBasic) == kVmxEptMisconfig))
    return mmio_why(all, std::nullopt);
  if (parameter_is_off(all, "kvm_intel.ept") || parameter_is_off(all, "kvm_amd.npt"))
    return {
        "the host has no nested paging (ept=0 or npt=0): KVM emulates what writes to a page "
        "table or a device",
        "see whether the page that it writes holds a page table; nested software virtualization "
        "emulates far more than hardware does",
        std::nullopt, 0.65};
  if (reason && all.is_svm() && *reason == kSvmGp)
    return {"KVM intercepts #GP (VMware backdoor, or an SVM erratum) and emulates what raised it",
            "see kvm.enable_vmware_backdoor; the guest's instruction raised #GP", std::nullopt,
            0.7};
  if (reason && is_exception(all, *reason))
    return {
        "the guest's instruction raised an exception that KVM intercepts (#UD for another "
        "vendor's instruction, #GP, or #PF without nested paging)",
        "see whether the guest may use this instruction: its CPUID, a migration between vendors",
        std::nullopt, 0.65};
  return plain_why(all, reason);
}

std::string_view why_without_bytes(const Case& all) {
  const Field* bytes = all.decoded_crash.exit.find("emulation_failure.insn_bytes");
  if (bytes != nullptr && bytes->validity == Validity::kUnknown) return bytes->why;
  return "this path of KVM does not hand it over (before 5.14 none does)";
}

class EmulationFailure : public Rule {
 public:
  std::string_view id() const override { return "emulation-failure"; }
  std::string_view about() const override {
    return "KVM had to emulate an instruction and does not know it";
  }
  std::vector<std::string_view> yields_to() const override {
    return {"jump-astray", "guest-panic"};
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitInternalError) ||
        all.crash_field("internal.suberror") != kSuberrorEmulation)
      return;
    const auto bytes = valid_bytes(all.decoded_crash.exit, all.decoded_crash.moment,
                                   "emulation_failure.insn_bytes");
    const Registers& registers = all.at_crash;
    std::string instruction =
        x86_instruction_text(bytes, registers.get_or("rip", 0), x86_code_bits(registers));
    if (bytes.empty()) instruction = instruction_in_memory(all);
    Why why = why_emulated(all);
    std::string what = !instruction.empty() ? fmt::format("\"{}\"", instruction)
                       : bytes.empty()      ? std::string("an instruction that was not recorded")
                                            : fmt::format("the bytes {}", hex_bytes(bytes));
    Finding finding =
        crash_finding(all, fmt::format("KVM could not emulate {}", what),
                      instruction.empty() && bytes.empty() ? why.confidence * 0.8 : why.confidence);
    finding.details.push_back(why.text.starts_with("cannot know")
                                  ? why.text
                                  : fmt::format("it is emulated because {}", why.text));
    if (const auto rip = registers.get("rip"))
      finding.details.push_back(
          fmt::format("at rip {:#x} in {}", *rip, to_string(x86_operation(registers))));
    if (!instruction.empty() && !bytes.empty() && !x86_code_bits(registers))
      finding.details.push_back("read as 64-bit code, which is not known");
    if (bytes.empty() && instruction.empty())
      finding.details.push_back(
          fmt::format("cannot know: the instruction: {}", why_without_bytes(all)));
    finding.next = why.next;
    finding.change =
        "Documentation/virt/kvm/api.rst, KVM_EXIT_INTERNAL_ERROR; c88339d88b0a (5.14) hands over "
        "the "
        "instruction, e615e355894e (5.16) the hardware exit";
    finding.kernel_change = "x86-emulation-bytes";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_emulation_failure_rule() { return std::make_unique<EmulationFailure>(); }

}  // namespace kvmtape
