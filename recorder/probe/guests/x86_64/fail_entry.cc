// A state that the processor refuses to enter and KVM_SET_SREGS lets pass: cs.l and cs.db both set
// in 64-bit mode (AMD APM volume 2, 15.5.1; Intel SDM volume 3, 26.3.1.2). KVM_EXIT_FAIL_ENTRY.
#include <fmt/core.h>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(fail_entry_code, R"(
    hlt
)");

namespace {

void play_fail_entry(Stage& stage) {
  Machine machine(stage);
  machine.load_code(fail_entry_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.cs.db = 1;
  set_sregs(vcpu, sregs);
  if (!vcpu.expect(KVM_EXIT_FAIL_ENTRY)) return;
  stage.remark(fmt::format("hardware_entry_failure_reason {:#x}",
                           vcpu.run().fail_entry.hardware_entry_failure_reason));
}

}  // namespace

const Guest kFailEntry = {"fail_entry", "64-bit mode with cs.l and cs.db: KVM_EXIT_FAIL_ENTRY",
                          play_fail_entry};

}  // namespace kvmtape::x86
