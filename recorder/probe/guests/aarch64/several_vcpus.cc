// Four vCPUs at once, each on a thread of its own: each stores its number to an address of its own,
// eight times. Their exits interleave; each vCPU's own order is exact.
#include <array>
#include <functional>
#include <thread>

#include "recorder/probe/deadline.h"
#include "recorder/probe/guests/aarch64/battery.h"

namespace kvmtape::arm64 {

KVMTAPE_GUEST_CODE(several_vcpus_code, R"(
    mov x1, #0xd0000000
    add x1, x1, x0, lsl #3
1:  str x0, [x1]
    b 1b
)");

namespace {

constexpr unsigned kVcpus = 4;

void run_vcpu(Vcpu& vcpu) {
  const Deadline deadline(vcpu.stage().time_max());
  for (int store = 0; store < 8; ++store) {
    const uint64_t value = expect_store(vcpu, kMmioAddress + vcpu.id() * 8);
    vcpu.stage().check(value == vcpu.id(), "another vCPU's exit came");
  }
}

void play_several_vcpus(Stage& stage) {
  Machine machine(stage);
  machine.load_code(several_vcpus_code);
  std::array<Vcpu*, kVcpus> vcpus = {};
  for (Vcpu*& vcpu : vcpus) {
    vcpu = &machine.add_vcpu();
    set_register(*vcpu, kX0, vcpu->id());
  }
  std::array<std::thread, kVcpus> threads;
  for (unsigned i = 0; i < kVcpus; ++i) threads[i] = std::thread(run_vcpu, std::ref(*vcpus[i]));
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

const Guest kSeveralVcpus = {"several_vcpus", "stores of four vCPUs at once: KVM_EXIT_MMIO",
                             play_several_vcpus};

}  // namespace kvmtape::arm64
