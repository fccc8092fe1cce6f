// A vendor's hypercall by HVC that KVM_ARM_VM_SMCCC_FILTER hands to user space: KVM_EXIT_HYPERCALL,
// nr the function, flags 0. Arguments and answer are in the guest's registers.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/guests/aarch64/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(hypercall_hvc_code, R"(
    mov x7, #0xd0000000
    movz w0, #0xc600, lsl #16
    movk w0, #0x10
    mov x1, #0x11
    mov x2, #0x22
    hvc #0
    str x0, [x7]
1:  b 1b
)");

namespace {

void play_hypercall_hvc(Stage& stage) {
  play_forwarded_call(stage, hypercall_hvc_code, Conduit::kHvc);
}

}  // namespace

const Guest kHypercallHvc = {"hypercall_hvc",
                             "HVC that a filter forwards, answered: KVM_EXIT_HYPERCALL",
                             play_hypercall_hvc};

}  // namespace kvmtape::arm64
