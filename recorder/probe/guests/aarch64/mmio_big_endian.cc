// Stores and loads of each size by a guest whose data is big-endian (SCTLR_EL1.EE): mmio.data is in
// the guest's order, the most significant byte first, whatever the host's.
#include <algorithm>
#include <array>
#include <cstring>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_big_endian_code, R"(
    mov x1, #0xd0000000
    ldr x0, 1f
    mrs x2, sctlr_el1
    orr x2, x2, #(1 << 25)
    msr sctlr_el1, x2
    isb
    strb w0, [x1]
    strh w0, [x1]
    str w0, [x1]
    str x0, [x1]
    ldrb w0, [x1]
    str x0, [x1, #16]
    ldrh w0, [x1]
    str x0, [x1, #16]
    ldr w0, [x1]
    str x0, [x1, #16]
    ldr x0, [x1]
    str x0, [x1, #16]
2:  b 2b
    .balign 8
1:  .quad 0x1122334455667788
)");

namespace {

constexpr std::array<uint8_t, 8> kBytes = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};

void play_mmio_big_endian(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_big_endian_code);
  Vcpu& vcpu = machine.add_vcpu();
  auto& mmio = vcpu.run().mmio;
  for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    stage.check(mmio.is_write == 1 && mmio.len == bytes &&
                    std::equal(kBytes.end() - bytes, kBytes.end(), mmio.data),
                "mmio.data is not the number's last bytes, the most significant first");
  }
  for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    stage.check(mmio.is_write == 0 && mmio.len == bytes,
                "mmio says another length or direction than the instruction");
    std::copy_n(kBytes.begin(), bytes, mmio.data);
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    std::array<uint8_t, 8> expected = {};
    std::copy_n(kBytes.begin(), bytes, expected.end() - bytes);
    stage.check(mmio.is_write == 1 && std::equal(expected.begin(), expected.end(), mmio.data),
                "the guest did not see our answer");
  }
}

}  // namespace

const Guest kMmioBigEndian = {
    "mmio_big_endian", "store and load of 1, 2, 4 and 8 bytes under SCTLR_EL1.EE: KVM_EXIT_MMIO",
    play_mmio_big_endian};

}  // namespace kvmtape::arm64
