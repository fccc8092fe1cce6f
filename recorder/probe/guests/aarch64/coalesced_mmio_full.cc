// More stores into a coalesced zone than its ring holds: the first that finds it full is a
// KVM_EXIT_MMIO of its own. How many it held is part of the fingerprint.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"
#include "recorder/probe/scripts.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(coalesced_mmio_full_code, R"(
    mov x1, #0xd0000000
    mov w0, #0
1:  str w0, [x1]
    add w0, w0, #1
    b 1b
)");

namespace {

void play_coalesced_mmio_full(Stage& stage) {
  Machine machine(stage);
  const int ring_page = coalesce_mmio(machine);
  machine.load_code(coalesced_mmio_full_code);
  Vcpu& vcpu = machine.add_vcpu();
  const uint64_t stores = expect_store(vcpu, kMmioAddress);
  const CoalescedRing ring(vcpu, ring_page);
  stage.check(ring.entry(0).phys_addr == kMmioAddress, "the ring does not hold the stores");
  stage.remark(fmt::format("full after {} stores", stores));
}

}  // namespace

const Guest kCoalescedMmioFull = {"coalesced_mmio_full",
                                  "stores into a coalesced zone until its ring is full: "
                                  "KVM_EXIT_MMIO",
                                  play_coalesced_mmio_full};

}  // namespace kvmtape::arm64
