// A virtual machine for one guest: one KVM_CREATE_VM, one memory slot at guest-physical 0, its
// vCPUs.
//
// Every ioctl goes through call() or enable_cap(), which note it in the trace with result and
// errno; what the kernel refuses ends the guest as refused (see stage.h): after that every verb
// does nothing and returns zero. Owned by the guest's script; not thread-safe while vCPUs are being
// added. Later vCPUs do not move earlier ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>

#include "recorder/kvmtape.h"
#include "recorder/probe/guest_code.h"
#include "recorder/probe/stage.h"
#include "recorder/probe/vcpu.h"
#include "schema/base/unique_fd.h"

namespace kvmtape {

// Guest-physical layout, the same for every guest. The architecture's tables lie below
// kCodeAddress.
inline constexpr uint64_t kCodeAddress = 0x10000;
inline constexpr uint64_t kDataAddress = 0x20000;  // what a guest leaves for its script to check
inline constexpr uint64_t kStackTop = 0x40000;     // of the first vCPU; each next one 4 KiB below
inline constexpr uint64_t kMmioAddress = 0xd0000000;  // no memory here
inline constexpr uint64_t kPageBytes = 4096;

struct MachineOptions {
  size_t memory_bytes = 1u << 20;
  unsigned long vm_type = 0;
  uint32_t memory_flags = 0;      // KVM_MEM_* of the first slot
  uint32_t dirty_ring_bytes = 0;  // per vCPU; has to be asked for before the first vCPU
};

class Machine {
 public:
  explicit Machine(Stage& stage, const MachineOptions& options = {});
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  Stage& stage() { return stage_; }
  int fd() const { return fd_.get(); }

  // KVM_CHECK_EXTENSION of the VM: its value, and the guest ends as refused where that is 0.
  int require(unsigned capability, const char* name);
  void enable_cap(unsigned capability, const char* name, uint64_t argument = 0);
  template <typename T>
  bool call(unsigned long request, const char* name, T* payload) {
    return call_bytes(request, name, payload, sizeof *payload);
  }
  bool call_value(unsigned long request, const char* name, uint64_t value);

  // Another slot of guest memory, beside the first; `memory` must outlive the machine.
  bool add_memory(uint32_t flags, uint64_t guest_address, void* memory, size_t bytes);

  // With the id after the last one's (0, 1, ...), in the architecture's default mode, its program
  // counter at `entry` and a stack. Register it by reference: the machine owns it.
  Vcpu& add_vcpu(uint64_t entry = kCodeAddress);
  // The same as KVM_CREATE_VCPU leaves it: no mode, no registers set.
  Vcpu& add_bare_vcpu();

  // `address` lies in the first slot, with room behind it for what is read there.
  uint8_t* at(uint64_t address) { return memory_ + address; }
  void load_code(GuestCode code, uint64_t address = kCodeAddress);
  template <typename T>
  void store(uint64_t address, const T& value) {
    std::memcpy(memory_ + address, &value, sizeof value);
  }
  template <typename T>
  T load(uint64_t address) const {
    T value;
    std::memcpy(&value, memory_ + address, sizeof value);
    return value;
  }

 private:
  bool call_bytes(unsigned long request, const char* name, void* payload, size_t bytes);
  void enable_dirty_rings(uint32_t bytes);

  Stage& stage_;
  UniqueFd fd_;
  size_t memory_bytes_;
  uint8_t* memory_ = nullptr;
  uint32_t slots_ = 0;
  std::deque<Vcpu> vcpus_;  // a deque does not move what it holds
};

}  // namespace kvmtape
