// A load of each size from where no memory is: KVM_EXIT_MMIO; what we put into mmio.data must reach
// the guest's register, which it stores right behind, as the next KVM_EXIT_MMIO.
#include <cstring>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_read_code, R"(
    mov x1, #0xd0000000
    ldrb w0, [x1]
    str x0, [x1, #16]
    ldrh w0, [x1]
    str x0, [x1, #16]
    ldr w0, [x1]
    str x0, [x1, #16]
    ldr x0, [x1]
    str x0, [x1, #16]
2:  b 2b
)");

namespace {

void play_mmio_read(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_read_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    auto& mmio = vcpu.run().mmio;
    stage.check(mmio.is_write == 0 && mmio.len == bytes,
                "mmio says another length or direction than the instruction");
    uint8_t seen[8] = {};
    std::memcpy(mmio.data, "\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8", bytes);
    std::memcpy(seen, mmio.data, bytes);
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    stage.check(mmio.is_write == 1 && std::memcmp(mmio.data, seen, sizeof seen) == 0,
                "the guest did not see our answer");
  }
}

}  // namespace

const Guest kMmioRead = {"mmio_read", "load of 1, 2, 4 and 8 bytes, answered: KVM_EXIT_MMIO",
                         play_mmio_read};

}  // namespace kvmtape::arm64
