// A signal while the guest spins: KVM_RUN fails with EINTR, KVM_EXIT_INTR.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(intr_signal_code, R"(
1:  b 1b
)");

namespace {

void play_intr_signal(Stage& stage) { play_signal(stage, intr_signal_code); }

}  // namespace

const Guest kIntrSignal = {"intr_signal", "a signal: KVM_RUN fails with EINTR, KVM_EXIT_INTR",
                           play_intr_signal};

}  // namespace kvmtape::arm64
