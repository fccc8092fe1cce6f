// An SError that the monitor injects without a syndrome: what the guest sees in ESR_EL1 once it has
// unmasked it.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(serror_code, R"(
    mov x1, #0xd0000000
    str x0, [x1]
    msr daifclr, #4
    isb
    str x0, [x1, #8]
1:  b 1b
)");

namespace {

constexpr uint64_t kClassSerror = 0x2f;

void play_serror(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS");
  machine.load_code(serror_code);
  Vcpu& vcpu = machine.add_vcpu();
  catch_exceptions(machine, vcpu);
  expect_store(vcpu, kMmioAddress);
  inject_serror(vcpu);
  const GuestException seen = expect_exception(vcpu);
  stage.check(seen.vector == 7 && seen.exception_class() == kClassSerror,
              fmt::format("the guest saw ESR_EL1 {:#x}", seen.esr));
}

}  // namespace

const Guest kSerror = {"serror", "an injected SError: ESR_EL1 by KVM_EXIT_MMIO", play_serror};

}  // namespace kvmtape::arm64
