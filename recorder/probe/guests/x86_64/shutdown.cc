// A triple fault: an undefined instruction with an empty IDT. KVM_EXIT_SHUTDOWN, without a payload.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(shutdown_code, R"(
    ud2
)");

namespace {

void play_shutdown(Stage& stage) {
  Machine machine(stage);
  machine.load_code(shutdown_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.idt.limit = 0;
  set_sregs(vcpu, sregs);
  vcpu.expect(KVM_EXIT_SHUTDOWN);
}

}  // namespace

const Guest kShutdown = {"shutdown", "UD2 without an IDT, a triple fault: KVM_EXIT_SHUTDOWN",
                         play_shutdown};

}  // namespace kvmtape::x86
