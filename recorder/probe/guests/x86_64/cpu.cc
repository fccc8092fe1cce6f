#include "recorder/probe/guests/x86_64/cpu.h"

#include <cpuid.h>
#include <fmt/core.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>

#include "recorder/probe/noted_ioctl.h"

namespace kvmtape::x86 {
namespace {

// kvm_cpuid2 by hand: in C++ the header's flexible array (__DECLARE_FLEX_ARRAY, Linux 6.1) stands
// behind an empty struct, which has a size there, and the ioctl's number would come out wrong.
constexpr uint32_t kCpuidEntriesMax = 256;
struct Cpuid {
  uint32_t nent;
  uint32_t padding;
  kvm_cpuid_entry2 entries[kCpuidEntriesMax];
};
constexpr size_t kCpuidHeadBytes = offsetof(Cpuid, entries);
constexpr unsigned long kGetSupportedCpuid =
    _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, kCpuidHeadBytes);
constexpr unsigned long kSetCpuid = _IOC(_IOC_WRITE, KVMIO, 0x90, kCpuidHeadBytes);

void set_cpuid(Vcpu& vcpu, Cpuid& cpuid) {
  vcpu.call_bytes(kSetCpuid, "KVM_SET_CPUID2", &cpuid,
                  kCpuidHeadBytes + cpuid.nent * sizeof(kvm_cpuid_entry2));
}

// All that KVM supports: without a CPUID a vCPU has neither SSE nor long mode.
Cpuid supported_cpuid(Stage& stage) {
  Cpuid cpuid = {};
  cpuid.nent = kCpuidEntriesMax;
  if (stage.going() && ioctl(stage.kvm_fd(), kGetSupportedCpuid, &cpuid) < 0) {
    stage.refuse(fmt::format("KVM_GET_SUPPORTED_CPUID: {}", errno_name(errno)));
  }
  return cpuid;
}

}  // namespace

void set_supported_cpuid(Vcpu& vcpu) {
  Cpuid cpuid = supported_cpuid(vcpu.stage());
  set_cpuid(vcpu, cpuid);
}

kvm_segment code_segment() {
  kvm_segment segment = {};
  segment.limit = 0xffffffff;
  segment.selector = kCodeSelector;
  segment.type = 11;  // execute, read, accessed
  segment.present = 1;
  segment.s = 1;
  segment.l = 1;
  segment.g = 1;
  return segment;
}

kvm_segment data_segment() {
  kvm_segment segment = code_segment();
  segment.selector = kDataSelector;
  segment.type = 3;  // read, write, accessed
  segment.l = 0;
  segment.db = 1;
  return segment;
}

void set_data_segments(kvm_sregs& sregs, const kvm_segment& segment) {
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment;
}

kvm_regs get_regs(Vcpu& vcpu) {
  kvm_regs regs = {};
  vcpu.call(KVM_GET_REGS, "KVM_GET_REGS", &regs);
  return regs;
}

void set_regs(Vcpu& vcpu, kvm_regs regs) { vcpu.call(KVM_SET_REGS, "KVM_SET_REGS", &regs); }

kvm_sregs get_sregs(Vcpu& vcpu) {
  kvm_sregs sregs = {};
  vcpu.call(KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
  return sregs;
}

void set_sregs(Vcpu& vcpu, kvm_sregs sregs) { vcpu.call(KVM_SET_SREGS, "KVM_SET_SREGS", &sregs); }

void set_rflags(Vcpu& vcpu, uint64_t rflags) {
  kvm_regs regs = get_regs(vcpu);
  regs.rflags = rflags | kRflagsFixed;
  set_regs(vcpu, regs);
}

void enter_real_mode(Vcpu& vcpu, uint64_t entry) {
  kvm_sregs sregs = get_sregs(vcpu);
  kvm_segment segment = {};
  segment.limit = 0xffff;
  segment.type = 3;
  segment.present = 1;
  segment.s = 1;
  set_data_segments(sregs, segment);
  segment.base = entry & ~uint64_t{0xffff};
  segment.selector = static_cast<uint16_t>(segment.base >> 4);
  segment.type = 11;
  sregs.cs = segment;
  sregs.idt.limit = 0x3ff;
  sregs.cr0 = kCr0ExtensionType | kCr0NumericError;
  sregs.cr3 = 0;
  sregs.cr4 = 0;
  sregs.efer = 0;
  set_sregs(vcpu, sregs);
  kvm_regs regs = get_regs(vcpu);
  regs.rip = entry & 0xffff;
  set_regs(vcpu, regs);
}

void enter_user_mode(Vcpu& vcpu) {
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.cs.selector = kUserCodeSelector;
  sregs.cs.dpl = 3;
  kvm_segment data = data_segment();
  data.selector = kUserDataSelector;
  data.dpl = 3;
  set_data_segments(sregs, data);
  set_sregs(vcpu, sregs);
}

void add_hyperv_cpuid(Vcpu& vcpu) {
  // Hypervisor top-level functional specification, 2.4; arch/x86/kvm/hyperv.c (kvm_hv_set_cpuid)
  // looks for the signature. All privileges are granted.
  constexpr uint32_t kSignature = 0x31237648;  // "Hv#1"
  constexpr uint32_t kFirstLeaf = 0x40000000;
  constexpr uint32_t kLastLeaf = 0x40000003;
  Cpuid cpuid = supported_cpuid(vcpu.stage());
  uint32_t kept = 0;
  for (uint32_t i = 0; i < cpuid.nent; ++i) {
    const bool of_a_hypervisor = cpuid.entries[i].function >> 28 == kFirstLeaf >> 28;
    if (!of_a_hypervisor) cpuid.entries[kept++] = cpuid.entries[i];
  }
  cpuid.nent = kept;
  for (uint32_t leaf = kFirstLeaf; leaf <= kLastLeaf && cpuid.nent < kCpuidEntriesMax; ++leaf) {
    kvm_cpuid_entry2& entry = cpuid.entries[cpuid.nent++];
    entry = {};
    entry.function = leaf;
    if (leaf == kFirstLeaf) entry.eax = kLastLeaf;
    if (leaf == kFirstLeaf + 1) entry.eax = kSignature;
    if (leaf == kLastLeaf) entry.eax = entry.ebx = entry.edx = 0xffffffff;
  }
  set_cpuid(vcpu, cpuid);
}

void set_gate(Machine& machine, uint8_t vector, uint64_t handler) {
  constexpr uint64_t kPresentInterruptGate = 0x8e00;
  const uint64_t low = (handler & 0xffff) | uint64_t{kCodeSelector} << 16 |
                       kPresentInterruptGate << 32 | (handler >> 16 & 0xffff) << 48;
  machine.store(kIdtAddress + vector * kGateBytes, low);
  machine.store(kIdtAddress + vector * kGateBytes + 8, handler >> 32);
}

void set_guest_debug(Vcpu& vcpu, uint32_t control, uint64_t dr0, uint64_t dr7) {
  kvm_guest_debug debug = {};
  debug.control = KVM_GUESTDBG_ENABLE | control;
  debug.arch.debugreg[0] = dr0;
  debug.arch.debugreg[7] = dr7;
  vcpu.call(KVM_SET_GUEST_DEBUG, "KVM_SET_GUEST_DEBUG", &debug);
}

bool is_amd() {
  constexpr unsigned kHygonEbx = 0x6f677948;  // "Hygo"
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __get_cpuid(0, &eax, &ebx, &ecx, &edx);
  return ebx == signature_AMD_ebx || ebx == kHygonEbx;
}

}  // namespace kvmtape::x86
