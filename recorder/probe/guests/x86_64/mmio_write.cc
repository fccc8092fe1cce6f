// A store of each size to where no memory is: KVM_EXIT_MMIO with address, length and data.
#include <cstring>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(mmio_write_code, R"(
    mov $0xd0000000, %ebx
    mov $0x8877665544332211, %rax
    movb %al, (%rbx)
    movw %ax, 2(%rbx)
    movl %eax, 4(%rbx)
    movq %rax, 8(%rbx)
    hlt
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
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kMmioWrite = {"mmio_write", "store of 1, 2, 4 and 8 bytes: KVM_EXIT_MMIO",
                          play_mmio_write};

}  // namespace kvmtape::x86
