// KVM_INTERNAL_ERROR_EMULATION: KVM had to execute an instruction in software and could not. The
// words behind the flags (exit_reason, info1, info2, intr_info, error_code; since 5.16,
// e615e355894e, "not ABI") say why it had to: prepare_emulation_failure_exit() in
// arch/x86/kvm/x86.c, Linux 6.12.
#include <fmt/format.h>

#include <optional>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/vmx.h"
#include "schema/abi/exit_numbers.h"

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
  bool is_reason = true;  // of being emulated; else a sentence of its own
};

// Where in internal.data the words behind the flags and the instruction begin.
int first_debug_word(uint64_t flags) { return (flags & 1) != 0 ? 3 : 1; }

// 0 is exit_reason.
std::optional<uint64_t> debug_word(const Case& all, int number) {
  const auto flags = all.crash_field("emulation_failure.flags");
  const auto ndata = all.crash_field("internal.ndata");
  if (!flags || !ndata) return std::nullopt;
  const int first = first_debug_word(*flags);
  if (*ndata < static_cast<uint64_t>(first) + 5) return std::nullopt;
  return all.crash_field("internal.data", first + number);
}

// Why there is no exit_reason: what holds it, or says where it stands, has no value.
std::string why_no_exit_reason(const Case& all) {
  const Exit& exit = all.decoded_crash.exit;
  const int first = first_debug_word(all.crash_field("emulation_failure.flags").value_or(0));
  for (const Field* field : {exit.find("emulation_failure.flags"), exit.find("internal.ndata"),
                             exit.find("internal.data", first)})
    if (field != nullptr && field->validity == Validity::kUnknown)
      return fmt::format("cannot know: which hardware exit led to emulation: {}", field->why);
  return "cannot know: this kernel did not say which hardware exit led to emulation";
}

// INT1, INT3, INT n and INTO: every x86 processor has them.
bool is_software_interrupt(const std::optional<Instruction>& instruction) {
  return instruction && instruction->text.starts_with("int");
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
Why plain_why(const Case& all, std::optional<uint64_t> reason,
              const std::optional<Instruction>& instruction) {
  Why why;
  why.next =
      is_software_interrupt(instruction)
          ? "run it where KVM has hardware behind it: no CPUID bit hides this instruction; and see "
            "why the guest raises it"
          : "hide the feature that this instruction belongs to from the guest's CPUID, or run it "
            "where KVM has hardware behind it; if it touches a device's memory, see who made that "
            "address";
  why.confidence = 0.6;
  why.is_reason = reason && (all.is_vmx() || all.is_svm());
  if (!reason)
    why.text = why_no_exit_reason(all);
  else if (all.is_vmx())
    why.text = fmt::format("the hardware exit was {}", vmx_exit_reason_text(*reason));
  else if (all.is_svm())
    why.text = fmt::format("the hardware exit was {}", svm_exit_code_text(*reason));
  else
    why.text = fmt::format(
        "cannot know: the hardware exit was {:#x}, and neither VMX nor SVM is known to have run "
        "here (nested software virtualization emulates more than hardware does)",
        *reason);
  return why;
}

// What the instruction touches is no memory, as its operands and the registers say.
std::optional<Why> why_by_operand(const Case& all, const std::optional<Instruction>& instruction) {
  if (!instruction || !all.slots.known()) return std::nullopt;
  for (const uint64_t address : x86_operand_addresses(*instruction, all.at_crash)) {
    const MemorySlots::Slot* slot = all.slots.find(address);
    if (address >> 47 != 0 || (slot != nullptr && !slot->read_only)) continue;
    Why why = mmio_why(all, address);
    why.text += ", if it is mapped one to one";
    why.confidence = 0.8;
    return why;
  }
  return std::nullopt;
}

// The place of an instruction that could not be fetched, where it is known.
Why why_unfetched(const Case& all) {
  Why why;
  why.is_reason = false;
  const auto linear = x86_linear_ip(all.at_crash);
  const MemorySlots::Slot* slot = linear && *linear >> 47 == 0 ? all.slots.find(*linear) : nullptr;
  if (slot != nullptr) {
    why.text = fmt::format(
        "memory slot {} holds it (if mapped one to one), so the host's memory behind that slot may "
        "be out of reach",
        slot->number);
    why.next =
        "see the mapping behind this memory slot: unmapped, mprotect, a truncated file, no huge "
        "pages left";
  } else {
    why.text = "no memory that is known holds it";
    why.next = "see what is mapped at rip: no memory, or a device";
  }
  return why;
}

// Why the instruction was emulated at all.
Why why_emulated(const Case& all, const std::optional<Instruction>& instruction) {
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
    return why_by_operand(all, instruction).value_or(mmio_why(all, std::nullopt));
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
  return why_by_operand(all, instruction).value_or(plain_why(all, reason, instruction));
}

// KVM tells what it decoded, and here it decoded nothing.
bool is_unfetched(const Case& all) {
  const auto flags = all.crash_field("emulation_failure.flags");
  return flags && (*flags & 1) == 0;
}

std::string_view why_without_bytes(const Case& all) {
  if (is_unfetched(all)) return "KVM had none: it could not be fetched";
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
    return {"jump-astray", "guest-panic", "reset-requested"};
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitInternalError) ||
        all.crash_field("internal.suberror") != kSuberrorEmulation)
      return;
    const auto bytes = valid_bytes(all.decoded_crash.exit, all.decoded_crash.moment,
                                   "emulation_failure.insn_bytes");
    const Registers& registers = all.at_crash;
    const std::optional<Instruction> instruction =
        bytes.empty()
            ? instruction_in_memory(all)
            : x86_instruction(bytes, registers.get_or("rip", 0), x86_code_bits(registers));
    const bool nothing = bytes.empty() && !instruction;
    Why why = nothing && is_unfetched(all) && all.at_crash.get("rip")
                  ? why_unfetched(all)
                  : why_emulated(all, instruction);
    std::string what =
        instruction                    ? fmt::format("\"{}\"", instruction->text)
        : nothing && is_unfetched(all) ? std::string("an instruction that it could not even fetch")
        : bytes.empty()
            ? fmt::format("an instruction that was {}",
                          why_without_bytes(all) == kWhyRedacted ? "redacted" : "not recorded")
            : fmt::format("the bytes {}", hex_bytes(bytes));
    Finding finding = crash_finding(all, fmt::format("KVM could not emulate {}", what),
                                    nothing ? why.confidence * 0.8 : why.confidence);
    finding.details.push_back(why.is_reason ? fmt::format("it is emulated because {}", why.text)
                                            : why.text);
    if (const auto rip = registers.get("rip"))
      finding.details.push_back(
          fmt::format("at rip {:#x} in {}", *rip, to_string(x86_operation(registers))));
    if (instruction && !bytes.empty() && !x86_code_bits(registers))
      finding.details.push_back("read as 64-bit code, which is not known");
    if (nothing)
      finding.details.push_back(
          fmt::format("cannot know: the instruction: {}", why_without_bytes(all)));
    finding.next = instruction && instruction->text == "ud2"
                       ? std::string(
                             "ud2 is how a program stops on purpose (BUG() of Linux, "
                             "__builtin_trap()): see the console, and which code stands at rip")
                       : why.next;
    finding.change =
        "Documentation/virt/kvm/api.rst, KVM_EXIT_INTERNAL_ERROR; c88339d88b0a (5.14) hands over "
        "the instruction, e615e355894e (5.16) the hardware exit";
    finding.kernel_change = "x86-emulation-bytes";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_emulation_failure_rule() { return std::make_unique<EmulationFailure>(); }

}  // namespace kvmtape
