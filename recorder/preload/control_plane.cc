#include "recorder/preload/control_plane.h"

#include <asm/ioctl.h>
#include <linux/kvm.h>

#include "recorder/preload/shared_session.h"
#include "recorder/ring/control_call.h"

namespace kvmtape::preload {
namespace {

// KVM_SET_USER_MEMORY_REGION2, for headers older than Linux 6.8.
constexpr uint32_t kSetUserMemoryRegion2 = 0x40a0ae49;

bool is_recorded(uint32_t request, void* argument) noexcept {
  switch (request) {
    case KVM_CREATE_VM:
    case KVM_CHECK_EXTENSION:
    case KVM_CREATE_VCPU:
    case KVM_CREATE_DEVICE:
    case KVM_CREATE_IRQCHIP:
    case KVM_SET_USER_MEMORY_REGION:
    case kSetUserMemoryRegion2:
    case KVM_ENABLE_CAP:
    case KVM_SET_GUEST_DEBUG:
    case KVM_SET_VCPU_EVENTS:
#if defined(__x86_64__)
    case KVM_SET_DEBUGREGS:
#endif
      return true;
    case KVM_SET_ONE_REG: {
#if defined(__aarch64__)
      // Hundreds a vCPU are set; the debug registers are system registers of op0 2
      // (arch/arm64/include/uapi/asm/kvm.h).
      const uint64_t id = static_cast<const kvm_one_reg*>(argument)->id;
      return (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG &&
             (id & KVM_REG_ARM64_SYSREG_OP0_MASK) >> KVM_REG_ARM64_SYSREG_OP0_SHIFT == 2;
#else
      return argument != nullptr;
#endif
    }
    default:
      return false;
  }
}

}  // namespace

void note_control_call(Kind kind, uint32_t vcpu_id, uint32_t request, void* argument, int result,
                       int error) noexcept {
  // After a failure it is not known whether the argument can be read at all.
  const bool readable = result >= 0 && _IOC_SIZE(request) != 0 && argument != nullptr;
  if ((request == KVM_SET_ONE_REG && !readable) || !is_recorded(request, argument)) return;
  uint8_t in[kControlPayloadMax];
  size_t in_bytes = 0;
  const auto* from = static_cast<const uint8_t*>(argument);
  if (readable && (_IOC_DIR(request) & _IOC_WRITE) != 0) {
    in_bytes = _IOC_SIZE(request);
    if (in_bytes > sizeof in) in_bytes = sizeof in;
    std::memcpy(in, from, in_bytes);
  }
  if (request == KVM_SET_ONE_REG) {  // the value behind the struct that points at it
    const auto* reg = static_cast<const kvm_one_reg*>(argument);
    const size_t value_bytes = size_t{1} << ((reg->id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
    if (in_bytes + value_bytes <= sizeof in) {
      std::memcpy(in + in_bytes, reinterpret_cast<const void*>(reg->addr), value_bytes);
      in_bytes += value_bytes;
    }
  }
  const bool answers = readable && (_IOC_DIR(request) & _IOC_READ) != 0;
  DescriptorKind descriptor = DescriptorKind::kSystem;
  if (kind == Kind::kVm) descriptor = DescriptorKind::kVm;
  if (kind == Kind::kVcpu) descriptor = DescriptorKind::kVcpu;
  const ControlCallRecord call{static_cast<uint32_t>(descriptor),
                               request,
                               reinterpret_cast<uint64_t>(argument),
                               kind == Kind::kVcpu ? vcpu_id : ~uint32_t{0},
                               result,
                               result < 0 ? static_cast<uint32_t>(error) : 0,
                               0,
                               0,
                               0};
  put_control_call(call, in, in_bytes, from, answers ? _IOC_SIZE(request) : 0);
}

}  // namespace kvmtape::preload
