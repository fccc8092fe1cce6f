// An exception whose IDT lies where no memory is: KVM cannot deliver it.
// KVM_EXIT_INTERNAL_ERROR, suberror KVM_INTERNAL_ERROR_DELIVERY_EV (VMX; SVM since 6.14), or a
// triple fault where the processor or KVM's emulator reads the IDT as unmapped.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(event_delivery_code, R"(
    ud2
)");

namespace {

void play_event_delivery(Stage& stage) {
  Machine machine(stage);
  machine.load_code(event_delivery_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.idt.base = kMmioAddress;
  set_sregs(vcpu, sregs);
  if (!vcpu.expect(KVM_EXIT_INTERNAL_ERROR)) return;
  stage.check(vcpu.run().internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV,
              "gave " + vcpu.describe_last());
}

}  // namespace

const Guest kEventDelivery = {"event_delivery",
                              "UD2 with the IDT where no memory is: KVM_EXIT_INTERNAL_ERROR",
                              play_event_delivery};

}  // namespace kvmtape::x86
