// A store into a KVM_MEM_READONLY slot (what firmware in flash is): the load before it does not
// exit, the store is a KVM_EXIT_MMIO.
#include <array>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(mmio_read_only_slot_code, R"(
    mov $0xe0000000, %ebx
    movl (%rbx), %eax
    movl %eax, (%rbx)
    hlt
)");

namespace {

alignas(kPageBytes) std::array<uint8_t, kPageBytes> rom;

void play_mmio_read_only_slot(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM");
  machine.add_memory(KVM_MEM_READONLY, 0xe0000000, rom.data(), rom.size());
  machine.load_code(mmio_read_only_slot_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  stage.check(vcpu.run().mmio.is_write == 1, "the load exited, not the store");
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kMmioReadOnlySlot = {"mmio_read_only_slot",
                                 "store into a KVM_MEM_READONLY slot: KVM_EXIT_MMIO",
                                 play_mmio_read_only_slot};

}  // namespace kvmtape::x86
