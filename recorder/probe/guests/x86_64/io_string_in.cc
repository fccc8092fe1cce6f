// REP INS of each size and several counts. We fill what each exit asks for with a running pattern;
// in the end it must lie in guest memory.
#include <fmt/core.h>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(io_string_in_code, R"(
    cld
    mov $0x1f0, %dx
    mov $0x20000, %edi
    mov $3, %ecx
    rep insb
    mov $17, %ecx
    rep insw
    mov $128, %ecx
    rep insl
    hlt
)");

namespace {

constexpr unsigned kBytesTotal = 3 * 1 + 17 * 2 + 128 * 4;

uint8_t pattern(unsigned position) { return static_cast<uint8_t>(position * 7 + 1); }

void play_io_string_in(Stage& stage) {
  Machine machine(stage);
  machine.load_code(io_string_in_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (unsigned done = 0; done < kBytesTotal;) {
    if (!vcpu.expect(KVM_EXIT_IO)) return;
    const auto& io = vcpu.run().io;
    const unsigned asked = io.size * io.count;
    if (io.direction != KVM_EXIT_IO_IN || asked == 0 || asked > kBytesTotal - done) {
      return stage.differ("io says another direction, size or count than the instruction");
    }
    for (unsigned i = 0; i < asked; ++i) io_data(vcpu)[i] = pattern(done + i);
    done += asked;
  }
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  for (unsigned i = 0; i < kBytesTotal; ++i) {
    stage.check(*machine.at(kDataAddress + i) == pattern(i), "the guest did not see our answer");
  }
  stage.remark(fmt::format("3 x 1, 17 x 2, 128 x 4 bytes in {} exits", stage.exits() - 1));
}

}  // namespace

const Guest kIoStringIn = {"io_string_in", "REP INS of 1, 2 and 4 bytes, answered: KVM_EXIT_IO",
                           play_io_string_in};

}  // namespace kvmtape::x86
