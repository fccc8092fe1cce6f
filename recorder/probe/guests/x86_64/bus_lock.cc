// A locked add across a cache line, under KVM_CAP_X86_BUS_LOCK_EXIT: KVM_EXIT_X86_BUS_LOCK.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(bus_lock_code, R"(
    mov $0x2003e, %ebx
    lock incl (%rbx)
    hlt
)");

namespace {

void play_bus_lock(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_X86_BUS_LOCK_EXIT, "KVM_CAP_X86_BUS_LOCK_EXIT");
  machine.enable_cap(KVM_CAP_X86_BUS_LOCK_EXIT, "KVM_CAP_X86_BUS_LOCK_EXIT",
                     KVM_BUS_LOCK_DETECTION_EXIT);
  machine.load_code(bus_lock_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.expect(KVM_EXIT_X86_BUS_LOCK);
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kBusLock = {"bus_lock", "LOCK INC across a cache line: KVM_EXIT_X86_BUS_LOCK",
                        play_bus_lock};

}  // namespace kvmtape::x86
