// The ring in which KVM collects coalesced MMIO and port I/O, read after an exit on the vCPU's
// thread. A view of the vCPU's mapping, which outlives it; no errors.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "recorder/probe/vcpu.h"

namespace kvmtape {

// struct kvm_coalesced_mmio_ring, in the page of the mapping that KVM_CAP_COALESCED_MMIO names.
class CoalescedRing {
 public:
  CoalescedRing(Vcpu& vcpu, int page) : bytes_(vcpu.page(static_cast<size_t>(page))) {}
  uint32_t first() const { return word(0); }
  uint32_t last() const { return word(1); }
  kvm_coalesced_mmio entry(size_t index) const {
    kvm_coalesced_mmio entry;
    std::memcpy(&entry, bytes_ + kHeadBytes + index * sizeof entry, sizeof entry);
    return entry;
  }

 private:
  static constexpr size_t kHeadBytes = 8;
  uint32_t word(size_t index) const {
    uint32_t value;
    std::memcpy(&value, bytes_ + index * sizeof value, sizeof value);
    return value;
  }
  const uint8_t* bytes_;
};

}  // namespace kvmtape
