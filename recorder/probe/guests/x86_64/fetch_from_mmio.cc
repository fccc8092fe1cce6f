// A jump to where no memory is: there is no instruction that could be emulated.
// KVM_EXIT_INTERNAL_ERROR, suberror KVM_INTERNAL_ERROR_EMULATION.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(fetch_from_mmio_code, R"(
    mov $0xd0000000, %ebx
    jmp *%rbx
)");

namespace {

void play_fetch_from_mmio(Stage& stage) {
  Machine machine(stage);
  machine.load_code(fetch_from_mmio_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_INTERNAL_ERROR)) return;
  stage.check(vcpu.run().internal.suberror == KVM_INTERNAL_ERROR_EMULATION,
              "gave " + vcpu.describe_last());
}

}  // namespace

const Guest kFetchFromMmio = {
    "fetch_from_mmio", "jump to where no memory is: KVM_EXIT_INTERNAL_ERROR", play_fetch_from_mmio};

}  // namespace kvmtape::x86
