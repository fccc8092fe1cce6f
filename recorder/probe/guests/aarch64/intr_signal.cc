// A signal while the guest spins: KVM_RUN fails with EINTR, KVM_EXIT_INTR.
#include <cerrno>
#include <chrono>

#include "recorder/probe/deadline.h"
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(intr_signal_code, R"(
1:  b 1b
)");

namespace {

void play(Stage& stage) {
  Machine machine(stage);
  machine.load_code(intr_signal_code);
  Vcpu& vcpu = machine.add_vcpu();
  const Deadline signal_soon(std::chrono::milliseconds(3));
  if (!vcpu.expect_error(EINTR)) return;
  stage.check(vcpu.run().exit_reason == KVM_EXIT_INTR, "gave " + vcpu.describe_last());
}

}  // namespace

const Guest kIntrSignal = {"intr_signal", "a signal: KVM_RUN fails with EINTR, KVM_EXIT_INTR",
                           play};

}  // namespace kvmtape::arm64
