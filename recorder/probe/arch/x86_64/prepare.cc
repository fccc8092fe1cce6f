#include "recorder/probe/arch.h"
#include "recorder/probe/guests/x86_64/cpu.h"

namespace kvmtape {

using namespace x86;

namespace {

// Intel SDM volume 3, 2.5, 4.5, 3.4.5; AMD APM volume 2, 3.1, 5.3, 4.8.
constexpr uint64_t kCr0ProtectionEnable = 1u << 0;
constexpr uint64_t kCr0WriteProtect = 1u << 16;
constexpr uint64_t kCr0Paging = 1u << 31;
constexpr uint64_t kCr4DebuggingExtensions = 1u << 3;
constexpr uint64_t kCr4PhysicalAddressExtension = 1u << 5;
constexpr uint64_t kCr4OsFxsr = 1u << 9;
constexpr uint64_t kEferLongModeEnable = 1u << 8;
constexpr uint64_t kEferLongModeActive = 1u << 10;
constexpr uint64_t kPagePresentWritableUser = 7;
constexpr uint64_t kPageLarge = 1u << 7;
constexpr uint64_t kLargePageBytes = 2u << 20;
constexpr uint64_t kEntries = 512;

constexpr uint64_t kGdt[] = {
    0,
    0x00af9b000000ffff,  // ring 0 code, 64-bit
    0x00cf93000000ffff,  // ring 0 data
    0x00affb000000ffff,  // ring 3 code, 64-bit
    0x00cff3000000ffff,  // ring 3 data
};
constexpr uint64_t kGates = 256;

}  // namespace

void prepare_machine(Machine& machine) {
  // VMX without unrestricted guests wants three pages of its own; elsewhere it is a no-op.
  machine.call_value(KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", 0xfffbd000);
  machine.store(kGdtAddress, kGdt);
  // One PML4, one PDPT, four page directories, in this order.
  const uint64_t pdpt = kPageTableAddress + kPageBytes;
  const uint64_t directories = pdpt + kPageBytes;
  machine.store(kPageTableAddress, pdpt | kPagePresentWritableUser);
  for (uint64_t gigabyte = 0; gigabyte < 4; ++gigabyte) {
    const uint64_t directory = directories + gigabyte * kPageBytes;
    machine.store(pdpt + gigabyte * 8, directory | kPagePresentWritableUser);
    for (uint64_t entry = 0; entry < kEntries; ++entry) {
      const uint64_t address = (gigabyte * kEntries + entry) * kLargePageBytes;
      machine.store(directory + entry * 8, address | kPageLarge | kPagePresentWritableUser);
    }
  }
}

void prepare_vcpu(Machine&, Vcpu& vcpu, uint64_t entry, uint64_t stack) {
  set_supported_cpuid(vcpu);
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.cs = code_segment();
  set_data_segments(sregs, data_segment());
  sregs.gdt.base = kGdtAddress;
  sregs.gdt.limit = sizeof kGdt - 1;
  sregs.idt.base = kIdtAddress;
  sregs.idt.limit = kGates * kGateBytes - 1;
  sregs.cr0 =
      kCr0ProtectionEnable | kCr0ExtensionType | kCr0NumericError | kCr0WriteProtect | kCr0Paging;
  sregs.cr3 = kPageTableAddress;
  sregs.cr4 = kCr4PhysicalAddressExtension | kCr4DebuggingExtensions | kCr4OsFxsr;
  sregs.efer = kEferLongModeEnable | kEferLongModeActive;
  set_sregs(vcpu, sregs);
  kvm_regs regs = {};
  regs.rip = entry;
  regs.rsp = stack;
  regs.rflags = kRflagsFixed;
  set_regs(vcpu, regs);
}

size_t sync_bytes_read() { return 0; }

}  // namespace kvmtape
