// A store of each size to where no memory is: KVM_EXIT_MMIO with address, length and data.
// The guest is left at its last exit.
#include <cstring>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_write_code, R"(
    mov x1, #0xd0000000
    ldr x0, 1f
    strb w0, [x1]
    strh w0, [x1, #2]
    str w0, [x1, #4]
    str x0, [x1, #8]
2:  b 2b
    .balign 8
1:  .quad 0x8877665544332211
)");

namespace {

void play_mmio_write(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_write_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    const auto& mmio = vcpu.run().mmio;
    const uint64_t address = kMmioAddress + (bytes == 1 ? 0 : bytes);
    stage.check(mmio.is_write == 1 && mmio.len == bytes && mmio.phys_addr == address,
                "mmio says another address, length or direction than the instruction");
    stage.check(std::memcmp(mmio.data, "\x11\x22\x33\x44\x55\x66\x77\x88", bytes) == 0,
                "mmio.data is not what was written");
  }
}

}  // namespace

const Guest kMmioWrite = {"mmio_write", "store of 1, 2, 4 and 8 bytes: KVM_EXIT_MMIO",
                          play_mmio_write};

}  // namespace kvmtape::arm64
