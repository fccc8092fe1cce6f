#include "recorder/probe/scripts.h"

#include <fmt/core.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>

#include "recorder/probe/deadline.h"
#include "recorder/probe/exit_name.h"
#include "recorder/probe/new_uapi.h"
#include "recorder/probe/vcpu.h"

namespace kvmtape {

int coalesce_mmio(Machine& machine) {
  const int ring_page = machine.require(KVM_CAP_COALESCED_MMIO, "KVM_CAP_COALESCED_MMIO");
  kvm_coalesced_mmio_zone zone = {};
  zone.addr = kMmioAddress;
  zone.size = kPageBytes;
  machine.call(KVM_REGISTER_COALESCED_MMIO, "KVM_REGISTER_COALESCED_MMIO", &zone);
  return ring_page;
}

void play_signal(Stage& stage, GuestCode code) {
  Machine machine(stage);
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  const Deadline signal_soon(std::chrono::milliseconds(3));
  if (!vcpu.expect_error(EINTR)) return;
  stage.check(vcpu.run().exit_reason == KVM_EXIT_INTR, "gave " + vcpu.describe_last());
}

void add_inaccessible_memory(Machine& machine) {
  constexpr uint64_t kInaccessibleAddress = 0x40000000;
  // Reserved for good, never accessible: nobody else's mapping can slip in, as it could after
  // munmap.
  static void* const memory =
      mmap(nullptr, kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return machine.stage().differ("no memory");
  machine.add_memory(0, kInaccessibleAddress, memory, kPageBytes);
}

void play_inaccessible_memory(Stage& stage, GuestCode code) {
  Machine machine(stage);
  add_inaccessible_memory(machine);
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  if (vcpu.expect_error(EFAULT)) {
    stage.remark("EFAULT with " + exit_reason_name(vcpu.run().exit_reason));
  }
}

void play_dirty_ring(Stage& stage, GuestCode code, const DirtyRing& with) {
  Machine machine(stage, {.memory_bytes = with.memory_bytes,
                          .memory_flags = KVM_MEM_LOG_DIRTY_PAGES,
                          .dirty_ring_bytes = with.ring_bytes});
  machine.load_code(code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_DIRTY_RING_FULL)) return;
  void* mapping = mmap(nullptr, with.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd(),
                       KVM_DIRTY_LOG_PAGE_OFFSET * static_cast<off_t>(kPageBytes));
  if (mapping == MAP_FAILED) return stage.differ("the ring cannot be mapped");
  auto* ring = static_cast<kvm_dirty_gfn*>(mapping);
  unsigned collected = 0;
  for (; collected < with.ring_bytes / sizeof *ring; ++collected) {
    if (__atomic_load_n(&ring[collected].flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY) break;
    __atomic_store_n(&ring[collected].flags, uint32_t{KVM_DIRTY_GFN_F_RESET}, __ATOMIC_RELEASE);
  }
  munmap(mapping, with.ring_bytes);
  machine.call_value(KVM_RESET_DIRTY_RINGS, "KVM_RESET_DIRTY_RINGS", 0);
  // The rest of the pages may fill it once more.
  if (vcpu.run_once() == 0 && vcpu.run().exit_reason != with.last_exit &&
      vcpu.run().exit_reason != KVM_EXIT_DIRTY_RING_FULL) {
    return stage.differ("went on with " + vcpu.describe_last());
  }
  stage.remark(fmt::format("full with {} pages", collected));
}

}  // namespace kvmtape
