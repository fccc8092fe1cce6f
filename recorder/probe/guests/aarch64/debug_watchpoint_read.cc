// A watchpoint on a load through KVM_GUESTDBG_USE_HW: KVM_EXIT_DEBUG with the watched address in
// debug.arch.far. The guest has touched the page before, and an MMIO address after that: kernels
// that take the address of the last stage-2 fault instead give that one.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/guests/aarch64/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_watchpoint_read_code, R"(
    mov x1, #0xd0000000
    mov x2, #0x20000
    str x0, [x2, #0x100]
    str x0, [x1]
    ldr x0, [x2]
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

void play_debug_watchpoint_read(Stage& stage) {
  play_watchpoint(stage, debug_watchpoint_read_code, Watched::kLoad);
}

}  // namespace

const Guest kDebugWatchpointRead = {
    "debug_watchpoint_read", "a watchpoint on a load: KVM_EXIT_DEBUG", play_debug_watchpoint_read};

}  // namespace kvmtape::arm64
