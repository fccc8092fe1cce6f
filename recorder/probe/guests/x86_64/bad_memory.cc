// A slot whose user memory is not accessible: KVM_RUN fails with EFAULT when the guest touches it.
#include "recorder/probe/guests/x86_64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(bad_memory_code, R"(
    mov $0x40000000, %ebx
    movl (%rbx), %eax
    hlt
)");

namespace {

void play_bad_memory(Stage& stage) { play_inaccessible_memory(stage, bad_memory_code); }

}  // namespace

const Guest kBadMemory = {"bad_memory",
                          "load from a slot without accessible user memory: KVM_RUN fails with "
                          "EFAULT",
                          play_bad_memory};

}  // namespace kvmtape::x86
