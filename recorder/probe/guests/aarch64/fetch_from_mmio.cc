// A jump to where no memory is: no exit of its own, KVM gives the guest an instruction abort, which
// tells what it sees in ESR_EL1.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(fetch_from_mmio_code, R"(
    mov x1, #0xd0000000
    br x1
)");

namespace {

constexpr uint64_t kClassInstructionAbort = 0x21;  // of the same exception level

void play_fetch_from_mmio(Stage& stage) {
  Machine machine(stage);
  machine.load_code(fetch_from_mmio_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.exception_class() == kClassInstructionAbort && seen.far == kMmioAddress,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kFetchFromMmio = {"fetch_from_mmio",
                              "a jump to where no memory is: ESR_EL1 by KVM_EXIT_MMIO",
                              play_fetch_from_mmio};

}  // namespace kvmtape::arm64
