#include <array>

#include "replayer/arch_names/esr.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/system_event.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/arch_names/x86_debug.h"
#include "replayer/exit_text_writer.h"
#include "replayer/failed_instruction.h"
#include "replayer/internal_data.h"

namespace kvmtape {
namespace {

// What debug.arch.dr6 says. Up to 5.6 (it changed with "Set RTM for DB_VECTOR too") vmx.c ORs
// DR6_FIXED_1, which does not hold DR6_RTM, to an exit qualification, whose bit 16 is not inverted:
// it is 0 on an ordinary #DB.
uint64_t dr6_conditions(const DecodeContext& context, uint64_t dr6) {
  constexpr uint64_t kRtm = 1 << 16;
  const bool may_be_qualification = context.x86_virtualization != X86Virtualization::kSvm &&
                                    !(context.kernel && context.kernel->at_least(5, 7));
  return may_be_qualification ? dr6 | kRtm : dr6;
}

}  // namespace

void ExitText::no_reason() const {
  if (moment.ret_known && moment.ret < 0)
    return print("KVM_RUN failed without a reason (errno {})", -int64_t{moment.ret});
  print("no exit reason was set");
  if (const Field* hardware = valid("hw.hardware_exit_reason"))
    print(", hardware exit reason {:#x}", hardware->value);
}

void ExitText::debug_arm64() const {
  constexpr uint64_t kEcWatchpointLower = 0x34;
  if (!exit.has_esr) return print("debug exception, hsr ?");
  print("{}", esr_text(decode_esr(exit.esr, exit.esr_has_high)));
  if (((exit.esr >> 26) & 0x3f) == kEcWatchpointLower) print(" at {}", hex("debug.arch.far"));
}

void ExitText::debug_x86() const {
  const Field* exception = valid("debug.arch.exception");
  const uint64_t vector = exception == nullptr ? ~uint64_t{0} : exception->value;
  print("{} at {}",
        vector == 1   ? "#DB"
        : vector == 3 ? "#BP"
                      : "debug exception",
        hex("debug.arch.pc"));
  const Field* dr6 = valid("debug.arch.dr6");
  const Field* dr7 = valid("debug.arch.dr7");
  if (dr6 != nullptr && dr7 != nullptr)
    print(": {}", debug_exception_text(dr6_conditions(context, dr6->value), dr7->value));
  else if (dr6 != nullptr)
    print(": {}", dr6_text(dr6_conditions(context, dr6->value)));
}

// ", insn 0f 0b ud2"; all of the bytes where they are none.
void ExitText::instruction(const FailedInstruction& failed) const {
  print(", insn");
  const Field* insn = valid("emulation_failure.insn_bytes");
  const bool is_code = !failed.code.empty();
  const auto bytes =
      is_code ? std::span<const uint8_t>(failed.code[0].bytes) : raw_bytes(*insn, moment);
  for (uint8_t byte : bytes) print(" {:02x}", byte);
  print(" {}", is_code ? failed.code[0].text : "(no instruction)");
  if (!failed.mode_known) print(" (read as {}-bit code)", static_cast<int>(failed.mode));
}

void ExitText::internal_error() const {
  const Field* suberror = valid("internal.suberror");
  if (suberror == nullptr) return print("internal error, not described by this kernel");
  if (!suberror->value_name.empty())
    print("{}", suberror->value_name);
  else
    print("suberror {:#x}", suberror->value);
  const bool is_emulation = exit.find("emulation_failure.flags") != nullptr;
  if (const auto failed = failed_instruction(context, moment, exit)) instruction(*failed);
  for (const Field& field : exit.all_fields()) {
    if (field.name != "internal.data" || field.validity != Validity::kValid) continue;
    const InternalWord word = internal_word(context, exit, field);
    // Of an emulation failure the first words have names of their own, and few of the rest matter.
    if (is_emulation && word.slot != "exit_reason" && word.slot != "exit_code") continue;
    if (word.slot.empty())
      print(", data[{}] {:#x}", field.element, field.value);
    else
      print(", {} {:#x}", word.slot, field.value);
    if (!word.meaning.empty()) print(" {}", word.meaning);
  }
}

void ExitText::fail_entry() const {
  const Field* reason = valid("fail_entry.hardware_entry_failure_reason");
  const bool x86 =
      context.architecture == Architecture::kX86_64 || context.architecture == Architecture::kI386;
  if (reason == nullptr || !x86) return fields_of("fail_entry");
  switch (context.x86_virtualization) {
    case X86Virtualization::kVmx:
      print("entry failed: reason {:#x}", reason->value);
      if (!reason->value_name.empty()) print(" {}", vmx_fail_entry_text(reason->value));
      break;
    case X86Virtualization::kSvm:
      print("entry failed: reason {:#x}", reason->value);
      if (!reason->value_name.empty()) print(" {}", svm_exit_code_text(reason->value));
      break;
    case X86Virtualization::kUnknown:
      print("entry failed: reason {:#x} (of VMX or of SVM: the host's vendor is not known)",
            reason->value);
      break;
  }
  print(", cpu {}", hex("fail_entry.cpu"));
}

void ExitText::system_event() const {
  const Field* type = valid("system_event.type");
  if (type == nullptr) return print("system event ?");
  std::array<uint64_t, 16> data{};
  size_t count = 0;
  // riscv cleared it and wrote the type alone, until SRST (5.18) brought a reason.
  const bool is_riscv = context.architecture == Architecture::kRiscv64;
  if (const Field* flags = valid("system_event.flags"))
    if (!is_riscv || flags->value != 0) data[count++] = flags->value;
  for (const Field& field : exit.all_fields())
    if (field.name == "system_event.data" && field.validity == Validity::kValid &&
        field.element >= 0 && count < data.size())
      data[count++] = field.value;
  print("{}", system_event_text(context.architecture, static_cast<uint32_t>(type->value),
                                std::span(data).first(count)));
}

void ExitText::arm_abort() const {
  const bool sea = exit.name == "KVM_EXIT_ARM_SEA";
  const Field* syndrome = valid(sea ? "arm_sea.esr" : "arm_nisv.esr_iss");
  if (syndrome == nullptr) return print("?");
  if (sea) {
    print("{} at gva {} gpa {}", esr_text(decode_arm_sea(syndrome->value)), hex("arm_sea.gva"),
          hex("arm_sea.gpa"));
    return;
  }
  const bool ldst64b = exit.name == "KVM_EXIT_ARM_LDST64B";
  const Esr esr = ldst64b ? decode_arm_ldst64b(syndrome->value) : decode_arm_nisv(syndrome->value);
  print("{} at ipa {}", esr_text(esr), hex("arm_nisv.fault_ipa"));
}

}  // namespace kvmtape
