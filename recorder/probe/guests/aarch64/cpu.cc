#include "recorder/probe/guests/aarch64/cpu.h"

#include <fmt/core.h>

#include <cstring>

#include "recorder/probe/new_uapi.h"

namespace kvmtape::arm64 {

// One vector, 0x80 bytes at most. It runs wherever it was copied to. It begins with a NOP because
// Linux 5.10 skips an instruction when an abort answers an MMIO load: it sets the pc to the vector
// at once, and the next KVM_RUN then completes the load.
KVMTAPE_GUEST_CODE(vector_code, R"(
    nop
    movz x28, #0xd000, lsl #16
    movk x28, #0x1000
    adr x29, .
    ubfx x29, x29, #7, #4
    str x29, [x28]
    mrs x29, esr_el1
    str x29, [x28, #8]
    mrs x29, elr_el1
    str x29, [x28, #16]
    mrs x29, far_el1
    str x29, [x28, #24]
1:  b 1b
)");

namespace {

constexpr uint64_t kVectors = 16;
constexpr uint64_t kVectorBytes = 0x80;

void set_events(Vcpu& vcpu, kvm_vcpu_events& events) {
  vcpu.call(KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &events);
}

}  // namespace

void set_register(Vcpu& vcpu, uint64_t id, uint64_t value) {
  kvm_one_reg reg = {};
  reg.id = id;
  reg.addr = reinterpret_cast<uintptr_t>(&value);
  vcpu.call(KVM_SET_ONE_REG, "KVM_SET_ONE_REG", &reg);
}

uint64_t get_register(Vcpu& vcpu, uint64_t id) {
  uint64_t value = 0;
  kvm_one_reg reg = {};
  reg.id = id;
  reg.addr = reinterpret_cast<uintptr_t>(&value);
  vcpu.call(KVM_GET_ONE_REG, "KVM_GET_ONE_REG", &reg);
  return value;
}

void skip_instruction(Vcpu& vcpu) {
  set_register(vcpu, kPc, get_register(vcpu, kPc) + kInstructionBytes);
}

void set_guest_debug(Vcpu& vcpu, uint32_t control, const kvm_guest_debug_arch& registers) {
  kvm_guest_debug debug = {};
  debug.control = control == 0 ? 0 : KVM_GUESTDBG_ENABLE | control;
  debug.arch = registers;
  vcpu.call(KVM_SET_GUEST_DEBUG, "KVM_SET_GUEST_DEBUG", &debug);
}

void catch_exceptions(Machine& machine, Vcpu& vcpu) {
  for (uint64_t vector = 0; vector < kVectors; ++vector) {
    machine.load_code(vector_code, kVectorAddress + vector * kVectorBytes);
  }
  set_register(vcpu, kVbarEl1, kVectorAddress);
}

bool is_exception_report(Vcpu& vcpu) {
  return vcpu.run().exit_reason == KVM_EXIT_MMIO && vcpu.run().mmio.phys_addr == kReportAddress;
}

GuestException expect_exception(Vcpu& vcpu) {
  GuestException exception;
  uint64_t address = kReportAddress;
  for (uint64_t* word : {&exception.vector, &exception.esr, &exception.elr, &exception.far}) {
    *word = expect_store(vcpu, address);
    address += sizeof *word;
  }
  return exception;
}

uint64_t expect_store(Vcpu& vcpu, uint64_t address) {
  if (!vcpu.expect(KVM_EXIT_MMIO)) return 0;
  const auto& mmio = vcpu.run().mmio;
  if (mmio.is_write == 0 || mmio.phys_addr != address) {
    vcpu.stage().differ(fmt::format("gave {} instead of a store to {:#x} at KVM_RUN {}",
                                    vcpu.describe_last(), address, vcpu.stage().exits()));
    return 0;
  }
  return stored_value(vcpu);
}

uint64_t stored_value(Vcpu& vcpu) {
  const auto& mmio = vcpu.run().mmio;
  uint64_t value = 0;
  if (mmio.len <= sizeof value) std::memcpy(&value, mmio.data, mmio.len);
  return value;
}

void answer_load(Vcpu& vcpu, uint64_t value) {
  auto& mmio = vcpu.run().mmio;
  if (mmio.len <= sizeof value) std::memcpy(mmio.data, &value, mmio.len);
}

void inject_external_abort(Vcpu& vcpu) {
  kvm_vcpu_events events = {};
  events.exception.ext_dabt_pending = 1;
  set_events(vcpu, events);
}

void inject_serror(Vcpu& vcpu) {
  kvm_vcpu_events events = {};
  events.exception.serror_pending = 1;
  set_events(vcpu, events);
}

void inject_serror(Vcpu& vcpu, uint64_t esr) {
  kvm_vcpu_events events = {};
  events.exception.serror_pending = 1;
  events.exception.serror_has_esr = 1;
  events.exception.serror_esr = esr;
  set_events(vcpu, events);
}

void forward_smccc(Machine& machine, uint64_t function) {
  kvm_smccc_filter filter = {};
  filter.base = static_cast<uint32_t>(function);
  filter.nr_functions = 1;
  filter.action = KVM_SMCCC_FILTER_FWD_TO_USER;
  kvm_device_attr attribute = {};
  attribute.group = KVM_ARM_VM_SMCCC_CTRL;
  attribute.attr = KVM_ARM_VM_SMCCC_FILTER;
  attribute.addr = reinterpret_cast<uintptr_t>(&filter);
  machine.call(KVM_SET_DEVICE_ATTR, "KVM_SET_DEVICE_ATTR(KVM_ARM_VM_SMCCC_FILTER)", &attribute);
}

}  // namespace kvmtape::arm64
