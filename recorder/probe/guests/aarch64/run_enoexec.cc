// KVM_RUN of a vCPU that had no KVM_ARM_VCPU_INIT: it fails with ENOEXEC, and what lies in kvm_run
// was never written.
#include <cerrno>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {
namespace {

void play_run_enoexec(Stage& stage) {
  Machine machine(stage);
  machine.add_bare_vcpu().expect_error(ENOEXEC);
}

}  // namespace

const Guest kRunEnoexec = {"run_enoexec", "a vCPU without KVM_ARM_VCPU_INIT: ENOEXEC",
                           play_run_enoexec};

}  // namespace kvmtape::arm64
