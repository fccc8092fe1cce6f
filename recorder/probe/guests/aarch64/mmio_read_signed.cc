// Sign-extending loads from where no memory is, to W and X registers: KVM_EXIT_MMIO, answered with
// a negative number, and the whole register stored behind each. What KVM makes of the sign is part
// of the fingerprint.
#include <fmt/core.h>

#include <cstring>
#include <string>

#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(mmio_read_signed_code, R"(
    mov x1, #0xd0000000
    ldrsb w0, [x1]
    str x0, [x1, #16]
    ldrsb x0, [x1]
    str x0, [x1, #16]
    ldrsh w0, [x1]
    str x0, [x1, #16]
    ldrsh x0, [x1]
    str x0, [x1, #16]
    ldrsw x0, [x1]
    str x0, [x1, #16]
1:  b 1b
)");

namespace {

struct Load {
  const char* instruction;
  unsigned bytes;
  uint64_t extended;
};
constexpr Load kLoads[] = {
    {"LDRSB W", 1, 0xfffffff1},         {"LDRSB X", 1, 0xfffffffffffffff1},
    {"LDRSH W", 2, 0xfffff2f1},         {"LDRSH X", 2, 0xfffffffffffff2f1},
    {"LDRSW X", 4, 0xfffffffff4f3f2f1},
};

void play_mmio_read_signed(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_read_signed_code);
  Vcpu& vcpu = machine.add_vcpu();
  std::string wrong;
  for (const Load& load : kLoads) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    auto& mmio = vcpu.run().mmio;
    stage.check(mmio.is_write == 0 && mmio.len == load.bytes,
                "mmio says another length or direction than the instruction");
    std::memcpy(mmio.data, "\xf1\xf2\xf3\xf4", load.bytes);
    const uint64_t seen = expect_store(vcpu, kMmioAddress + 16);
    if (seen != load.extended) wrong += fmt::format("{} gave {:#x}; ", load.instruction, seen);
  }
  stage.check(wrong.empty(), wrong);
}

}  // namespace

const Guest kMmioReadSigned = {"mmio_read_signed",
                               "LDRSB, LDRSH, LDRSW, answered with a sign: KVM_EXIT_MMIO",
                               play_mmio_read_signed};

}  // namespace kvmtape::arm64
