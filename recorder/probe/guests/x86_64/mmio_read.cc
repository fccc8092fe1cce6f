// A load of each size from where no memory is: KVM_EXIT_MMIO; what we put into mmio.data must reach
// the guest's register, which stores it at kDataAddress.
#include <cstring>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(mmio_read_code, R"(
    mov $0xd0000000, %ebx
    mov $0x20000, %ecx
    movzbl (%rbx), %eax
    movq %rax, (%rcx)
    movzwl 2(%rbx), %eax
    movq %rax, 8(%rcx)
    movl 4(%rbx), %eax
    movq %rax, 16(%rcx)
    movq 8(%rbx), %rax
    movq %rax, 24(%rcx)
    hlt
)");

namespace {

void play_mmio_read(Stage& stage) {
  Machine machine(stage);
  machine.load_code(mmio_read_code);
  Vcpu& vcpu = machine.add_vcpu();
  for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
    if (!vcpu.expect(KVM_EXIT_MMIO)) return;
    auto& mmio = vcpu.run().mmio;
    stage.check(mmio.is_write == 0 && mmio.len == bytes,
                "mmio says another length or direction than the instruction");
    std::memcpy(mmio.data, "\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8", bytes);
  }
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  uint64_t stored_at = kDataAddress;
  for (const uint64_t seen : {0xa1ull, 0xa2a1ull, 0xa4a3a2a1ull, 0xa8a7a6a5a4a3a2a1ull}) {
    stage.check(machine.load<uint64_t>(stored_at) == seen, "the guest did not see our answer");
    stored_at += 8;
  }
}

}  // namespace

const Guest kMmioRead = {"mmio_read", "load of 1, 2, 4 and 8 bytes, answered: KVM_EXIT_MMIO",
                         play_mmio_read};

}  // namespace kvmtape::x86
