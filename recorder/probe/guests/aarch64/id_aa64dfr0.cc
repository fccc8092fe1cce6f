// ID_AA64DFR0_EL1, the debug architecture, as the guest and as the monitor (KVM_GET_ONE_REG) see
// it.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(id_aa64dfr0_code, R"(
    mov x1, #0xd0000000
    mrs x0, id_aa64dfr0_el1
    str x0, [x1]
1:  b 1b
)");

namespace {

void play_id_aa64dfr0(Stage& stage) {
  Machine machine(stage);
  machine.load_code(id_aa64dfr0_code);
  Vcpu& vcpu = machine.add_vcpu();
  const uint64_t guests = expect_store(vcpu, kMmioAddress);
  const uint64_t monitors = get_register(vcpu, kIdAa64dfr0El1);
  stage.check(guests == monitors,
              fmt::format("the guest sees {:#x}, the monitor {:#x}", guests, monitors));
  stage.remark(fmt::format("{:#x}, DebugVer {}", guests, guests & 0xf));
}

}  // namespace

const Guest kIdAa64dfr0 = {"id_aa64dfr0", "ID_AA64DFR0_EL1 as the guest sees it, by KVM_EXIT_MMIO",
                           play_id_aa64dfr0};

}  // namespace kvmtape::arm64
