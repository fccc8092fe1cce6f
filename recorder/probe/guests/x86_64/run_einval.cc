// KVM_RUN itself refuses: a bit of kvm_valid_regs that no kernel knows. EINVAL, and the exit_reason
// in kvm_run is whatever lay there: on x86 up to 6.1 that of the exit before.
#include <cerrno>

#include "recorder/probe/exit_name.h"
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(run_einval_code, R"(
    out %al, $0x80
    hlt
)");

namespace {

void play_run_einval(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS");
  machine.load_code(run_einval_code);
  Vcpu& vcpu = machine.add_vcpu();
  vcpu.expect(KVM_EXIT_IO);
  vcpu.run().kvm_valid_regs = uint64_t{1} << 63;
  if (!vcpu.expect_error(EINVAL)) return;
  stage.remark("exit_reason was left as " + exit_reason_name(vcpu.run().exit_reason));
  vcpu.run().kvm_valid_regs = 0;
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kRunEinval = {"run_einval", "unknown kvm_valid_regs: KVM_RUN fails with EINVAL",
                          play_run_einval};

}  // namespace kvmtape::x86
