#include "recorder/probe/guests/aarch64/scripts.h"

#include <fmt/core.h>

#include <cstring>

#include "recorder/probe/new_uapi.h"

namespace kvmtape::arm64 {
namespace {

// Headers from before 6.4 have only `longmode` there, the first half of what became `flags`.
uint64_t hypercall_flags(Vcpu& vcpu) {
  uint64_t flags;
  std::memcpy(&flags, &vcpu.run().hypercall.longmode, sizeof flags);
  return flags;
}

}  // namespace

void play_watchpoint(Stage& stage, GuestCode code, Watched how) {
  constexpr uint32_t kClassWatchpoint = 0x34;  // of a lower exception level
  Machine machine(stage);
  machine.require(KVM_CAP_GUEST_DEBUG_HW_WPS, "KVM_CAP_GUEST_DEBUG_HW_WPS");
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_guest_debug_arch registers = {};
  registers.dbg_wvr[0] = kDataAddress;
  registers.dbg_wcr[0] = watchpoint_control(how);
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_HW, registers);
  expect_store(vcpu, kMmioAddress);
  if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
  const kvm_debug_exit_arch debug = vcpu.run().debug.arch;
  stage.check(debug.hsr >> 26 == kClassWatchpoint, "debug.arch.hsr is not that of a watchpoint");
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress + 8);
  stage.check(debug.far == kDataAddress,
              fmt::format("debug.arch.far is {:#x}, not the watched address", debug.far));
}

void play_forwarded_call(Stage& stage, GuestCode code, Conduit conduit) {
  constexpr uint64_t kFunction = 0xc6000010;
  constexpr uint64_t kAnswer = 0x4242;
  Machine machine(stage);
  forward_smccc(machine, kFunction);
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_HYPERCALL)) return;
  stage.check(vcpu.run().hypercall.nr == kFunction, "hypercall.nr is not the function");
  // As old as the filter (6.4), so that every kernel that comes here says it.
  const bool by_smc = (hypercall_flags(vcpu) & KVM_HYPERCALL_EXIT_SMC) != 0;
  stage.check(by_smc == (conduit == Conduit::kSmc),
              fmt::format("hypercall.flags says {}", by_smc ? "SMC" : "HVC"));
  set_register(vcpu, kX0, kAnswer);
  stage.check(expect_store(vcpu, kMmioAddress) == kAnswer, "the guest did not see our answer");
}

void play_psci_call(Stage& stage, GuestCode code, const PsciCall& call) {
  Machine machine(stage);
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.run_once();
  if (vcpu.run().exit_reason == KVM_EXIT_MMIO) {
    return stage.refuse(fmt::format("{} gave the guest {:#x}", call.name, stored_value(vcpu)));
  }
  if (stage.going() && vcpu.run().exit_reason != KVM_EXIT_SYSTEM_EVENT) {
    return stage.differ("gave " + vcpu.describe_last() + " instead of KVM_EXIT_SYSTEM_EVENT");
  }
  stage.check(vcpu.run().system_event.type == call.event_type,
              fmt::format("system_event.type is not {}", call.event_name));
}

}  // namespace kvmtape::arm64
