// BRK of several immediates under KVM_GUESTDBG_USE_SW_BP: KVM_EXIT_DEBUG whose syndrome holds the
// immediate. The pc stays at the instruction.
#include <fmt/core.h>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(debug_brk_code, R"(
    mov x1, #0xd0000000
    brk #0
    brk #1
    brk #0x1234
    brk #0xffff
    str x0, [x1]
1:  b 1b
)");

namespace {

constexpr uint32_t kClassBrk64 = 0x3c;

void play_debug_brk(Stage& stage) {
  Machine machine(stage);
  machine.load_code(debug_brk_code);
  Vcpu& vcpu = machine.add_vcpu();
  set_guest_debug(vcpu, KVM_GUESTDBG_USE_SW_BP);
  for (const uint32_t immediate : {0u, 1u, 0x1234u, 0xffffu}) {
    if (!vcpu.expect(KVM_EXIT_DEBUG)) return;
    const uint32_t hsr = vcpu.run().debug.arch.hsr;
    stage.check(hsr >> 26 == kClassBrk64 && (hsr & 0xffff) == immediate,
                fmt::format("debug.arch.hsr is {:#x}, not that of BRK #{:#x}", hsr, immediate));
    skip_instruction(vcpu);
  }
  set_guest_debug(vcpu, 0);
  expect_store(vcpu, kMmioAddress);
}

}  // namespace

const Guest kDebugBrk = {
    "debug_brk", "BRK #0, #1, #0x1234, #0xffff under KVM_GUESTDBG_USE_SW_BP: KVM_EXIT_DEBUG",
    play_debug_brk};

}  // namespace kvmtape::arm64
