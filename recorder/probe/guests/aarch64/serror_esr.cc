// An SError that the monitor injects with a syndrome (serror_has_esr, where the processor has RAS):
// the guest sees it in ESR_EL1.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(serror_esr_code, R"(
    mov x1, #0xd0000000
    str x0, [x1]
    msr daifclr, #4
    isb
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

constexpr uint64_t kSyndrome = 0x12345;  // the 25 bits of an ISS
constexpr uint64_t kEsr = uint64_t{0x2f} << 26 | 1u << 25 | kSyndrome;

void play_serror_esr(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_ARM_INJECT_SERROR_ESR, "KVM_CAP_ARM_INJECT_SERROR_ESR");
  machine.load_code(serror_esr_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  expect_store(vcpu, kMmioAddress);
  inject_serror(vcpu, kSyndrome);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.vector == 7 && seen.esr == kEsr,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kSerrorEsr = {
    "serror_esr", "an injected SError with a syndrome: ESR_EL1 by KVM_EXIT_MMIO", play_serror_esr};

}  // namespace kvmtape::arm64
