// IN of each size. Each is a KVM_EXIT_IO with direction in; what we put at io.data_offset must
// reach the guest's register, which stores it at kDataAddress.
#include <cstring>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(io_in_code, R"(
    mov $0x60, %dx
    mov $0x20000, %ebx
    xor %eax, %eax
    inb %dx, %al
    movl %eax, (%rbx)
    inw %dx, %ax
    movl %eax, 4(%rbx)
    inl %dx, %eax
    movl %eax, 8(%rbx)
    hlt
)");

namespace {

void play_io_in(Stage& stage) {
  Machine machine(stage);
  machine.load_code(io_in_code);
  Vcpu& vcpu = machine.add_vcpu();
  uint64_t stored_at = kDataAddress;
  for (const unsigned bytes : {1u, 2u, 4u}) {
    if (!vcpu.expect(KVM_EXIT_IO)) return;
    const auto& io = vcpu.run().io;
    stage.check(io.direction == KVM_EXIT_IO_IN && io.size == bytes && io.count == 1,
                "io says another direction, size or count than the instruction");
    std::memcpy(io_data(vcpu), "\x55\x66\x77\x88", bytes);
  }
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  for (const uint32_t seen : {0x55u, 0x6655u, 0x88776655u}) {
    stage.check(machine.load<uint32_t>(stored_at) == seen, "the guest did not see our answer");
    stored_at += 4;
  }
}

}  // namespace

const Guest kIoIn = {"io_in", "IN of 1, 2 and 4 bytes, answered: KVM_EXIT_IO", play_io_in};

}  // namespace kvmtape::x86
