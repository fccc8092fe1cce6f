// immediate_exit: KVM_RUN finishes the pending store and fails with EINTR without entering the
// guest; on arm64 it writes neither exit_reason nor flags.
#include <cerrno>

#include "recorder/probe/exit_name.h"
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(intr_immediate_code, R"(
    mov x1, #0xd0000000
    str x0, [x1]
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

void play_intr_immediate(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT");
  machine.load_code(intr_immediate_code);
  Vcpu& vcpu = machine.add_vcpu();
  expect_store(vcpu, kMmioAddress);
  vcpu.run().immediate_exit = 1;
  if (!vcpu.expect_error(EINTR)) return;
  stage.remark("EINTR with " + exit_reason_name(vcpu.run().exit_reason));
  vcpu.run().immediate_exit = 0;
  expect_store(vcpu, kMmioAddress + 8);
}

}  // namespace

const Guest kIntrImmediate = {"intr_immediate", "immediate_exit: KVM_RUN fails with EINTR",
                              play_intr_immediate};

}  // namespace kvmtape::arm64
