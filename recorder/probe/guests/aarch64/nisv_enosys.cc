// A load with write-back from where no memory is, without KVM_CAP_ARM_NISV_TO_USER: KVM_RUN fails
// with ENOSYS.
#include <cerrno>

#include "recorder/probe/exit_name.h"

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(nisv_enosys_code, R"(
    mov x1, #0xd0000000
    ldr x0, [x1], #8
1:  b 1b
)");

namespace {

void play_nisv_enosys(Stage& stage) {
  Machine machine(stage);
  machine.load_code(nisv_enosys_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect_error(ENOSYS)) return;
  stage.remark("ENOSYS with " + exit_reason_name(vcpu.run().exit_reason));
}

}  // namespace

const Guest kNisvEnosys = {"nisv_enosys",
                           "load with write-back, capability off: KVM_RUN fails with ENOSYS",
                           play_nisv_enosys};

}  // namespace kvmtape::arm64
