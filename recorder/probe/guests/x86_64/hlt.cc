// HLT without an interrupt controller in the kernel: KVM_EXIT_HLT, and the guest goes on behind it.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(hlt_code, R"(
    hlt
    hlt
)");

namespace {

void play_hlt(Stage& stage) {
  Machine machine(stage);
  machine.load_code(hlt_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.expect(KVM_EXIT_HLT);
  vcpu.expect(KVM_EXIT_HLT);
  stage.check(get_regs(vcpu).rip == kCodeAddress + 2, "rip is not behind the second hlt");
}

}  // namespace

const Guest kHlt = {"hlt", "HLT twice: KVM_EXIT_HLT", play_hlt};

}  // namespace kvmtape::x86
