// arm64: one register an ioctl (KVM_GET_ONE_REG; Documentation/virt/kvm/api.rst, 4.68). Ids are
// built as in arch/arm64/include/uapi/asm/kvm.h, ARM64_SYS_REG(op0, op1, crn, crm, op2).
#include "recorder/capture/registers.h"

#include <errno.h>
#include <linux/kvm.h>

#include <initializer_list>

namespace kvmtape {
namespace {

constexpr uint64_t sys_reg(uint64_t op0, uint64_t op1, uint64_t crn, uint64_t crm, uint64_t op2) {
  return 0x6030000000130000u | op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
// struct kvm_regs begins with user_pt_regs (x0..x30, sp, pc, pstate), sp_el1, elr_el1 and the SPSR
// of EL1; ids count 4-byte units.
constexpr uint64_t core_reg(uint64_t index) { return 0x6030000000100000u | index * 2; }
constexpr uint32_t kCoreRegs = 37;
constexpr uint64_t kMdccintEl1 = sys_reg(2, 0, 0, 2, 0);
constexpr uint64_t kMdccintBits = 3u << 29;  // RX and TX are all it has (Arm ARM)
constexpr uint64_t kDebugIds[] = {
    sys_reg(2, 0, 0, 2, 2),               // MDSCR_EL1
    kMdccintEl1, sys_reg(2, 0, 1, 1, 4),  // OSLSR_EL1: a register of KVM_GET_ONE_REG since 5.18
    sys_reg(3, 0, 0, 5, 0),               // ID_AA64DFR0_EL1: tells how many of those below exist
};
constexpr uint64_t kSystemIds[] = {
    sys_reg(3, 0, 1, 0, 0),   // SCTLR_EL1
    sys_reg(3, 0, 2, 0, 0),   // TTBR0_EL1
    sys_reg(3, 0, 2, 0, 1),   // TTBR1_EL1
    sys_reg(3, 0, 2, 0, 2),   // TCR_EL1
    sys_reg(3, 0, 5, 2, 0),   // ESR_EL1
    sys_reg(3, 0, 6, 0, 0),   // FAR_EL1
    sys_reg(3, 0, 10, 2, 0),  // MAIR_EL1
    sys_reg(3, 0, 12, 0, 0),  // VBAR_EL1
};

constexpr uint32_t kRegistersMax = 4 + 4 * 16;  // the debug registers; the others are fewer

// A register that this kernel does not have is noted as refused, by its id.
class OneRegs {
 public:
  // The value, or 0 when the kernel refused.
  uint64_t take(VcpuIoctls& vcpu, uint64_t id) noexcept {
    uint64_t value = 0;
    kvm_one_reg request{id, reinterpret_cast<uint64_t>(&value)};
    const int error = vcpu.call(KVM_GET_ONE_REG, &request) == 0 ? 0 : errno;
    if (error != 0) {
      note_without(id, RegisterStatus::kRefused, error);
      return 0;
    }
    // May be what a register of the kernel's own held (replayer/one_register.cc), a pointer at
    // times: nobody's to publish.
    if (id == kMdccintEl1 && (value & ~kMdccintBits) != 0) {
      note_without(id, RegisterStatus::kRedacted, 0);
      return 0;
    }
    if (taken_ < kRegistersMax) pairs_[taken_++] = {id, value};
    return value;
  }
  void put(RegisterSink& sink) noexcept {
    if (taken_ != 0)
      sink.put(RegisterSet::kOneReg, RegisterStatus::kTaken, 0, pairs_,
               static_cast<uint32_t>(taken_ * sizeof pairs_[0]));
    while (without_ != 0) put_those_like_the_first(sink);
  }

 private:
  struct Pair {
    uint64_t id, value;
  };
  struct Without {
    uint64_t id;
    RegisterStatus status;
    int error;
  };

  void note_without(uint64_t id, RegisterStatus status, int error) noexcept {
    if (without_ < kRegistersMax) withouts_[without_++] = {id, status, error};
  }
  // One record a status and errno: in practice one.
  void put_those_like_the_first(RegisterSink& sink) noexcept {
    const Without like = withouts_[0];
    uint64_t ids[kRegistersMax];
    uint32_t count = 0, left = 0;
    for (uint32_t i = 0; i < without_; ++i) {
      if (withouts_[i].status == like.status && withouts_[i].error == like.error)
        ids[count++] = withouts_[i].id;
      else
        withouts_[left++] = withouts_[i];
    }
    without_ = left;
    sink.put(RegisterSet::kOneReg, like.status, static_cast<uint32_t>(like.error), ids,
             static_cast<uint32_t>(count * sizeof ids[0]));
  }

  Pair pairs_[kRegistersMax];
  Without withouts_[kRegistersMax];
  uint32_t taken_ = 0, without_ = 0;
};

}  // namespace

void take_debug_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept {
  OneRegs regs;
  uint64_t id_aa64dfr0 = 0;
  for (uint64_t id : kDebugIds) id_aa64dfr0 = regs.take(vcpu, id);
  // BRPs [15:12] and WRPs [23:20] are one less than the number (Arm ARM D19.2.59).
  const uint64_t breakpoints = ((id_aa64dfr0 >> 12) & 0xf) + 1;
  const uint64_t watchpoints = ((id_aa64dfr0 >> 20) & 0xf) + 1;
  for (uint64_t n = 0; n < breakpoints; ++n)
    for (uint64_t op2 : {4, 5}) regs.take(vcpu, sys_reg(2, 0, 0, n, op2));
  for (uint64_t n = 0; n < watchpoints; ++n)
    for (uint64_t op2 : {6, 7}) regs.take(vcpu, sys_reg(2, 0, 0, n, op2));
  regs.put(sink);
}

void take_crash_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept {
  OneRegs regs;
  for (uint64_t index = 0; index < kCoreRegs; ++index) regs.take(vcpu, core_reg(index));
  for (uint64_t id : kSystemIds) regs.take(vcpu, id);
  regs.put(sink);
  kvm_vcpu_events pending{};
  if (vcpu.call(KVM_GET_VCPU_EVENTS, &pending) == 0)
    sink.put(RegisterSet::kVcpuEvents, RegisterStatus::kTaken, 0, &pending, sizeof pending);
  else
    sink.put(RegisterSet::kVcpuEvents, RegisterStatus::kRefused, static_cast<uint32_t>(errno),
             nullptr, 0);
  take_debug_registers(vcpu, sink);
}

void note_registers_not_taken(bool crash, RegisterSink& sink) noexcept {
  if (crash) sink.put(RegisterSet::kVcpuEvents, RegisterStatus::kNotTaken, 0, nullptr, 0);
  sink.put(RegisterSet::kOneReg, RegisterStatus::kNotTaken, 0, nullptr, 0);
}

std::span<const unsigned long> register_requests() noexcept {
  static constexpr unsigned long kRequests[] = {KVM_GET_ONE_REG, KVM_GET_VCPU_EVENTS};
  return kRequests;
}

uint64_t sync_register_bits() noexcept { return 0; }

}  // namespace kvmtape
