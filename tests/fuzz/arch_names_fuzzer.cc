// The pure functions on architectural numbers: each is given arbitrary numbers and bytes, and what
// it calls text must be a line.
//
//   u64 a | u64 b | the rest: instruction bytes, registers
#include "replayer/arch_names/confidential.h"
#include "replayer/arch_names/disassembly.h"
#include "replayer/arch_names/esr.h"
#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"
#include "replayer/arch_names/sbi.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/system_event.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/arch_names/x86_debug.h"
#include "replayer/arch_names/x86_registers.h"
#include "schema/base/check.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

void check_line(const std::string& text) {
  KVMTAPE_CHECK(!text.empty());
  for (char c : text) KVMTAPE_CHECK(c >= ' ' && c <= '~');
}

void esr(const Esr& esr) {
  KVMTAPE_CHECK(esr.field_count <= kEsrFieldsMax);
  for (const EsrField& field : esr.all_fields()) KVMTAPE_CHECK(!field.name.empty());
  check_line(esr_text(esr));
}

void arm(uint64_t a, uint64_t b) {
  esr(decode_esr(a, true));
  esr(decode_esr(a, false));
  esr(decode_arm_nisv(a));
  esr(decode_arm_ldst64b(a));
  esr(decode_arm_sea(a));
  (void)linux_brk_meaning(static_cast<uint16_t>(a));
  check_line(smccc_text(static_cast<uint32_t>(a)));
  (void)psci_return_name(static_cast<int32_t>(a));
  (void)arm64_system_event_flag_name(static_cast<uint32_t>(a), b);
}

void x86(uint64_t a, uint64_t b) {
  check_line(vmx_exit_reason_text(a));
  check_line(vmx_fail_entry_text(a));
  check_line(vmx_event_info_text(static_cast<uint32_t>(a)));
  check_line(svm_exit_code_text(a));
  check_line(dr6_text(a));
  check_line(dr7_text(a));
  check_line(debug_exception_text(a, b));
  check_line(msr_text(static_cast<uint32_t>(a)));
  check_line(eflags_text(a));
  check_line(cr0_text(a));
  check_line(cr4_text(a));
  check_line(efer_text(a));
  check_line(page_fault_error_text(a));
  check_line(ghcb_termination_text(a));
  (void)vmx_instruction_error(a);
  (void)tdvmcall_name(a);
  (void)ghcb_msr_request_name(a);
}

void others(uint64_t a, uint64_t b) {
  check_line(sbi_text(a, b));
  (void)sbi_error_name(static_cast<int64_t>(a));
  (void)sbi_reset_type_name(a);
  (void)sbi_reset_reason_name(a);
  (void)papr_hcall_name(a);
  (void)papr_return_name(a);
  (void)kvm_hypercall_name(a);
  (void)hyperv_call_name(a);
  (void)xen_hypercall_name(a);
  (void)iocsr_name(a);
}

void instructions(Architecture architecture, uint64_t a, std::span<const uint8_t> bytes) {
  constexpr X86Mode kModes[] = {X86Mode::k16Bit, X86Mode::k32Bit, X86Mode::k64Bit};
  const auto order = (a & 1) != 0 ? ByteOrder::kBig : ByteOrder::kLittle;
  size_t used = 0;
  for (const Instruction& instruction :
       disassemble(architecture, order, bytes, a, kModes[a % 3], 16)) {
    KVMTAPE_CHECK(!instruction.text.empty() && !instruction.bytes.empty());
    KVMTAPE_CHECK(instruction.address == a + used);
    used += instruction.bytes.size();
  }
  KVMTAPE_CHECK(used <= bytes.size());
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const auto a = cursor.read<uint64_t>();
  const auto b = cursor.read<uint64_t>();
  const auto rest = cursor.take(cursor.remaining());
  arm(a, b);
  x86(a, b);
  others(a, b);
  std::vector<uint64_t> registers;
  for (ByteCursor words(rest); words.remaining() >= 8;) registers.push_back(words.read<uint64_t>());
  check_line(tdx_fatal_text(registers));
  for (uint16_t number = 0; number <= 9; ++number) {
    const auto architecture = static_cast<Architecture>(number);
    check_line(system_event_text(architecture, static_cast<uint32_t>(b), registers));
    if (number <= 8) instructions(architecture, a, rest);
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  const uint8_t x86_code[] = {0xc7, 0x00, 0x01, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xf4, 0xcc, 0x90};
  const uint8_t arm_code[] = {0x80, 0x46, 0x22, 0xd4, 0x1f, 0x20, 0x03, 0xd5};
  for (uint64_t ec = 0; ec < 64; ++ec)
    inputs.push_back(InputWriter().put(ec << 26 | 0x2001234).put(ec).put_bytes(arm_code).take());
  for (uint64_t bit = 0; bit < 64; bit += 3)
    inputs.push_back(InputWriter().put(uint64_t{1} << bit).put(bit).put_bytes(x86_code).take());
  Bytes registers(128, 0x41);
  inputs.push_back(
      InputWriter().put<uint64_t>(0x84000008).put<uint64_t>(5).put_bytes(registers).take());
  return inputs;
}

}  // namespace kvmtape::fuzz
