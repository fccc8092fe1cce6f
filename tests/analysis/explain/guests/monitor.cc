#include <cerrno>
#include <cstring>

#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

constexpr uint64_t kPageDirectories = kPageTableAddress + 2 * kPageBytes;
constexpr uint64_t kLargePage = 2u << 20;
constexpr uint64_t kPresentWritableUserLarge = 0x87;

bool goes_on(uint32_t exit_reason) {
  return exit_reason == KVM_EXIT_IO || exit_reason == KVM_EXIT_MMIO ||
         exit_reason == KVM_EXIT_DEBUG || exit_reason == KVM_EXIT_INTR;
}

// As a monitor does that looks the address up and asks the device there.
void answer(Vcpu& vcpu, const Device& device) {
  kvm_run& run = vcpu.run();
  if (run.exit_reason == KVM_EXIT_IO && run.io.direction == KVM_EXIT_IO_IN) {
    const uint64_t value = device(run.io.port);
    for (uint32_t i = 0; i < run.io.count; ++i)
      std::memcpy(io_data(vcpu) + i * run.io.size, &value, run.io.size);
  }
  if (run.exit_reason == KVM_EXIT_MMIO && run.mmio.is_write == 0) {
    const uint64_t value = device(run.mmio.phys_addr);
    std::memcpy(run.mmio.data, &value, sizeof run.mmio.data);
  }
}

}  // namespace

uint64_t nothing_there(uint64_t) { return ~uint64_t{0}; }

void run(Vcpu& vcpu, const Device& device, unsigned exits_max) {
  for (unsigned i = 0; i < exits_max; ++i) {
    if (vcpu.run_once() < 0 || !goes_on(vcpu.run().exit_reason)) return;
    answer(vcpu, device);
  }
}

void run_without_answering(Vcpu& vcpu) {
  while (vcpu.run_once() >= 0 && goes_on(vcpu.run().exit_reason)) {
  }
}

void run_code(Stage& stage, GuestCode code, const Device& device, unsigned exits_max) {
  OneVcpu guest(stage, code);
  run(guest.vcpu, device, exits_max);
}

void run_without_idt(Stage& stage, GuestCode code, const Device& device) {
  OneVcpu guest(stage, code);
  empty_idt(guest.vcpu);
  run(guest.vcpu, device);
}

void run_and_wake_once(Stage& stage, GuestCode code) {
  OneVcpu guest(stage, code);
  run(guest.vcpu);
  run(guest.vcpu);
}

void run_with_rom(Stage& stage, GuestCode code) {
  constexpr uint64_t kRomAddress = 0x40000000;
  alignas(kPageBytes) static uint8_t rom[kPageBytes];
  OneVcpu guest(stage, code);
  guest.machine.add_memory(KVM_MEM_READONLY, kRomAddress, rom, sizeof rom);
  run(guest.vcpu);
}

Vcpu& add_second_vcpu(Machine& machine) {
  Vcpu& vcpu = machine.add_vcpu();
  kvm_regs regs = get_regs(vcpu);
  regs.rdi = 1;
  set_regs(vcpu, regs);
  return vcpu;
}

void empty_idt(Vcpu& vcpu) {
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.idt.limit = 0;
  set_sregs(vcpu, sregs);
}

void enter_protected_mode(Vcpu& vcpu) {
  constexpr uint64_t kProtectionEnable = 1;
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.cr0 = kProtectionEnable | kCr0ExtensionType | kCr0NumericError;
  sregs.cr3 = sregs.cr4 = sregs.efer = 0;
  sregs.cs.l = 0;
  sregs.cs.db = 1;
  set_sregs(vcpu, sregs);
}

void set_ip(Vcpu& vcpu, uint64_t rip) {
  kvm_regs regs = get_regs(vcpu);
  regs.rip = rip;
  set_regs(vcpu, regs);
}

void unmap(Machine& machine, uint64_t address) {
  machine.store(kPageDirectories + address / kLargePage * 8, uint64_t{0});
}

void map(Machine& machine, uint64_t address, uint64_t physical) {
  machine.store(kPageDirectories + address / kLargePage * 8, physical | kPresentWritableUserLarge);
}

}  // namespace kvmtape::testing
