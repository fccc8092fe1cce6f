// A slot whose user memory is not accessible: KVM_RUN fails with EFAULT when the guest touches it.
#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(bad_memory_code, R"(
    mov x1, #0x40000000
    ldr w0, [x1]
1:  b 1b
)");

namespace {

void play_bad_memory(Stage& stage) { play_inaccessible_memory(stage, bad_memory_code); }

}  // namespace

const Guest kBadMemory = {"bad_memory",
                          "load from a slot without accessible user memory: KVM_RUN fails with "
                          "EFAULT",
                          play_bad_memory};

}  // namespace kvmtape::arm64
