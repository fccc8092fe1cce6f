// Single steps of the monitor while the guest has its OS Lock set: it is the guest's own debugging
// that the lock is for, so each is a KVM_EXIT_DEBUG. The registers taken with it show the lock.
#include <cerrno>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(os_lock_step_code, R"(
    mov x1, #0xd0000000
    mov x0, #1
    msr oslar_el1, x0
    isb
    str x0, [x1]
    nop
    nop
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

void play_os_lock_step(Stage& stage) {
  Machine machine(stage);
  machine.load_code(os_lock_step_code);
  Vcpu& vcpu = machine.add_vcpu();
  expect_store(vcpu, kMmioAddress);
  // The store is completed by the next KVM_RUN, which ends before it enters the guest: the steps
  // that follow are of the NOPs alone, on every kernel.
  vcpu.run().immediate_exit = 1;
  if (!vcpu.expect_error(EINTR)) return;
  vcpu.run().immediate_exit = 0;
  set_guest_debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
  vcpu.expect(KVM_EXIT_DEBUG);
  vcpu.expect(KVM_EXIT_DEBUG);
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress + 8);
}

}  // namespace

const Guest kOsLockStep = {
    "os_lock_step", "single steps of the monitor, OS Lock set: KVM_EXIT_DEBUG", play_os_lock_step};

}  // namespace kvmtape::arm64
