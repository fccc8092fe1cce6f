// x86: fixed structures, one ioctl each (Documentation/virt/kvm/api.rst, 4.11 to 4.31).
#include "recorder/capture/registers.h"

#include <errno.h>
#include <linux/kvm.h>

#include <initializer_list>

namespace kvmtape {
namespace {

template <typename Struct>
void take(VcpuIoctls& vcpu, unsigned long request, RegisterSet set, RegisterSink& sink) noexcept {
  Struct bytes{};
  if (vcpu.call(request, &bytes) == 0)
    sink.put(set, RegisterStatus::kTaken, 0, &bytes, sizeof bytes);
  else
    sink.put(set, RegisterStatus::kRefused, static_cast<uint32_t>(errno), nullptr, 0);
}

}  // namespace

void take_debug_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept {
  take<kvm_debugregs>(vcpu, KVM_GET_DEBUGREGS, RegisterSet::kDebugRegs, sink);
}

void take_crash_registers(VcpuIoctls& vcpu, RegisterSink& sink) noexcept {
  take<kvm_regs>(vcpu, KVM_GET_REGS, RegisterSet::kRegs, sink);
  take<kvm_sregs>(vcpu, KVM_GET_SREGS, RegisterSet::kSregs, sink);
  take<kvm_vcpu_events>(vcpu, KVM_GET_VCPU_EVENTS, RegisterSet::kVcpuEvents, sink);
  take<kvm_mp_state>(vcpu, KVM_GET_MP_STATE, RegisterSet::kMpState, sink);
  take_debug_registers(vcpu, sink);
}

void note_registers_not_taken(bool crash, RegisterSink& sink) noexcept {
  if (crash) {
    for (RegisterSet set : {RegisterSet::kRegs, RegisterSet::kSregs, RegisterSet::kVcpuEvents})
      sink.put(set, RegisterStatus::kNotTaken, 0, nullptr, 0);
  }
  sink.put(RegisterSet::kDebugRegs, RegisterStatus::kNotTaken, 0, nullptr, 0);
}

std::span<const unsigned long> register_requests() noexcept {
  static constexpr unsigned long kRequests[] = {KVM_GET_DEBUGREGS, KVM_GET_REGS, KVM_GET_SREGS,
                                                KVM_GET_VCPU_EVENTS, KVM_GET_MP_STATE};
  return kRequests;
}

uint64_t sync_register_bits() noexcept {
  return KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
}

}  // namespace kvmtape
