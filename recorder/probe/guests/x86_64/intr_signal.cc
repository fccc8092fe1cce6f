// A signal while the guest spins: KVM_RUN fails with EINTR, KVM_EXIT_INTR.
#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(intr_signal_code, R"(
1:  pause
    jmp 1b
)");

namespace {

void play_intr_signal(Stage& stage) { play_signal(stage, intr_signal_code); }

}  // namespace

const Guest kIntrSignal = {"intr_signal", "a signal: KVM_RUN fails with EINTR, KVM_EXIT_INTR",
                           play_intr_signal};

}  // namespace kvmtape::x86
