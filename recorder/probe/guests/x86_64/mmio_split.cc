// One instruction, several exits: a 16-byte store (movups), then an 8-byte store across a page's
// end. KVM cuts what is longer than mmio.data or crosses a page, and goes on with the next piece
// when it is entered again.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(mmio_split_code, R"(
    mov $0xd0000000, %ebx
    movups %xmm0, (%rbx)
    movq %rax, 0xffd(%rbx)
    hlt
)");

namespace {

struct Piece {
  uint64_t offset;
  uint32_t bytes;
};

void play_mmio_split(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_split_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (const Piece piece : {Piece{0, 8}, Piece{8, 8}, Piece{0xffd, 3}, Piece{0x1000, 5}}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    const auto& mmio = vcpu.run().mmio;
    stage.check(mmio.phys_addr == kMmioAddress + piece.offset && mmio.len == piece.bytes,
                "the access was cut elsewhere: " + vcpu.describe_last());
  }
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kMmioSplit = {"mmio_split", "stores of 16 bytes and across a page: KVM_EXIT_MMIO twice",
                          play_mmio_split};

}  // namespace kvmtape::x86
