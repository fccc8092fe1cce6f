// A store into a KVM_MEM_READONLY slot (what firmware in flash is): the load before it does not
// exit, the store is a KVM_EXIT_MMIO.
#include <array>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_read_only_slot_code, R"(
    mov x1, #0xe0000000
    ldr w0, [x1, #8]
    str w0, [x1, #8]
    mov x1, #0xd0000000
    str x0, [x1]
1:  b 1b
)");

namespace {

constexpr uint64_t kRomAddress = 0xe0000000;
alignas(kPageBytes) std::array<uint8_t, kPageBytes> rom;

void play_mmio_read_only_slot(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM");
  rom[8] = 0x5a;
  machine.add_memory(KVM_MEM_READONLY, kRomAddress, rom.data(), rom.size());
  machine.load_code(mmio_read_only_slot_code);
  Vcpu& vcpu = machine.add_vcpu();
  stage.check(expect_store(vcpu, kRomAddress + 8) == 0x5a, "the load did not see the slot");
  expect_store(vcpu, kMmioAddress);
}

}  // namespace

const Guest kMmioReadOnlySlot = {"mmio_read_only_slot",
                                 "store into a KVM_MEM_READONLY slot: KVM_EXIT_MMIO",
                                 play_mmio_read_only_slot};

}  // namespace kvmtape::arm64
