// immediate_exit: KVM_RUN finishes the pending OUT and fails with EINTR without entering the guest.
#include <cerrno>

#include "recorder/probe/exit_name.h"
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(intr_immediate_code, R"(
    out %al, $0x80
    hlt
)");

namespace {

void play_intr_immediate(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT");
  machine.load_code(intr_immediate_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.expect(KVM_EXIT_IO);
  vcpu.run().immediate_exit = 1;
  if (!vcpu.expect_error(EINTR)) return;
  stage.remark("EINTR with " + exit_reason_name(vcpu.run().exit_reason));
  vcpu.run().immediate_exit = 0;
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kIntrImmediate = {"intr_immediate", "immediate_exit: KVM_RUN fails with EINTR",
                              play_intr_immediate};

}  // namespace kvmtape::x86
