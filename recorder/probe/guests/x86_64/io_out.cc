// OUT of each size. Each is a KVM_EXIT_IO with direction out, the size, and the bytes in the page
// that io.data_offset points into.
#include <cstring>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(io_out_code, R"(
    mov $0x3f8, %dx
    mov $0x44332211, %eax
    outb %al, %dx
    outw %ax, %dx
    outl %eax, %dx
    hlt
)");

namespace {

void play_io_out(Stage& stage) {
  Machine machine(stage);
  machine.load_code(io_out_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (const unsigned bytes : {1u, 2u, 4u}) {
    if (!vcpu.expect(KVM_EXIT_IO)) return;
    const auto& io = vcpu.run().io;
    stage.check(
        io.direction == KVM_EXIT_IO_OUT && io.size == bytes && io.count == 1 && io.port == 0x3f8,
        "io says another direction, size, count or port than the instruction");
    stage.check(std::memcmp(io_data(vcpu), "\x11\x22\x33\x44", bytes) == 0,
                "the bytes at io.data_offset are not those that were written");
  }
  vcpu.expect(KVM_EXIT_HLT);
}

}  // namespace

const Guest kIoOut = {"io_out", "OUT of 1, 2 and 4 bytes: KVM_EXIT_IO", play_io_out};

}  // namespace kvmtape::x86
