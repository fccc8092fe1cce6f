// A slot whose user memory is not accessible: KVM_RUN fails with EFAULT when the guest touches it.
#include <sys/mman.h>

#include <cerrno>

#include "recorder/probe/exit_name.h"
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(bad_memory_code, R"(
    mov x1, #0x40000000
    ldr w0, [x1]
1:  b 1b
)");

namespace {

void play(Stage& stage) {
  Machine machine(stage);
  // Reserved, never accessible: nobody else's mapping can slip in, as it could after munmap.
  void* memory = mmap(nullptr, kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return stage.differ("no memory");
  machine.add_memory(0, 0x40000000, memory, kPageBytes);
  machine.load_code(bad_memory_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (vcpu.expect_error(EFAULT)) {
    stage.remark("EFAULT with " + exit_reason_name(vcpu.run().exit_reason));
  }
  munmap(memory, kPageBytes);
}

}  // namespace

const Guest kBadMemory = {"bad_memory",
                          "load from a slot without accessible user memory: KVM_RUN fails with "
                          "EFAULT",
                          play};

}  // namespace kvmtape::arm64
