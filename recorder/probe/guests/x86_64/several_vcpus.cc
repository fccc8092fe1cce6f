// Four vCPUs at once, each on a thread of its own: each writes its number to a port of its own,
// eight times, and halts. Their exits interleave; each vCPU's own order is exact.
#include <array>
#include <functional>
#include <thread>

#include "recorder/probe/deadline.h"
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(several_vcpus_code, R"(
    mov $8, %ecx
1:  out %al, %dx
    dec %ecx
    jnz 1b
    hlt
)");

namespace {

constexpr unsigned kVcpus = 4;
constexpr uint16_t kFirstPort = 0x100;

void run_vcpu(Vcpu& vcpu) {
  const Deadline deadline(vcpu.stage().time_max());
  for (int write = 0; write < 8; ++write) {
    if (!vcpu.expect(KVM_EXIT_IO)) return;
    vcpu.stage().check(vcpu.run().io.port == kFirstPort + vcpu.id() && *io_data(vcpu) == vcpu.id(),
                       "another vCPU's exit came");
  }
  vcpu.expect(KVM_EXIT_HLT);
}

void play_several_vcpus(Stage& stage) {
  Machine machine(stage);
  machine.load_code(several_vcpus_code);
  std::array<Vcpu*, kVcpus> vcpus = {};
  for (Vcpu*& vcpu : vcpus) {
    vcpu = &machine.add_vcpu();
    kvm_regs regs = get_regs(*vcpu);
    regs.rax = vcpu->id();
    regs.rdx = kFirstPort + vcpu->id();
    set_regs(*vcpu, regs);
  }
  std::array<std::thread, kVcpus> threads;
  for (unsigned i = 0; i < kVcpus; ++i) threads[i] = std::thread(run_vcpu, std::ref(*vcpus[i]));
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

const Guest kSeveralVcpus = {"several_vcpus", "OUT and HLT on four vCPUs at once: KVM_EXIT_IO",
                             play_several_vcpus};

}  // namespace kvmtape::x86
