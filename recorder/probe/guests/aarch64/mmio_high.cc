// A store and a load above 4 GiB: KVM_EXIT_MMIO whose mmio.phys_addr has its upper half in use.
#include <cstring>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_high_code, R"(
    movz x1, #0x7000
    movk x1, #0x3456, lsl #16
    movk x1, #0x12, lsl #32
    mov w0, #0x5a5a
    str w0, [x1]
    ldr x0, [x1, #8]
    str x0, [x1, #16]
1:  b 1b
)");

namespace {

constexpr uint64_t kHighAddress = 0x1234567000;  // within the 40 bits that every machine has
constexpr uint64_t kAnswer = 0x1122334455667788;

void play_mmio_high(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_high_code);
  Vcpu& vcpu = machine.add_vcpu();
  stage.check(expect_store(vcpu, kHighAddress) == 0x5a5a, "mmio.data is not what was written");
  if (!vcpu.expect(KVM_EXIT_MMIO)) return;
  auto& mmio = vcpu.run().mmio;
  stage.check(mmio.is_write == 0 && mmio.len == 8 && mmio.phys_addr == kHighAddress + 8,
              "mmio says another address, length or direction than the instruction");
  std::memcpy(mmio.data, &kAnswer, sizeof kAnswer);
  stage.check(expect_store(vcpu, kHighAddress + 16) == kAnswer, "the guest did not see our answer");
}

}  // namespace

const Guest kMmioHigh = {"mmio_high", "store and load above 4 GiB: KVM_EXIT_MMIO", play_mmio_high};

}  // namespace kvmtape::arm64
