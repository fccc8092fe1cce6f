// Which exits are recorded at all. Plain data that lies in shared memory too (record_control.h).
// What it leaves out is neither numbered nor counted: the session's header says what that is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvmtape {

inline constexpr size_t kFilterAddressesMax = 16;
inline constexpr uint32_t kFilterVcpusMax = 512;
inline constexpr uint32_t kReasonBitsMax = 63;  // reasons from here on share the last bit

struct CaptureFilter {
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  uint64_t reasons = ~uint64_t{0};            // one bit for each exit reason
  uint64_t vcpus[kFilterVcpusMax / 64] = {};  // bits of KVM's ids; used if some_vcpus
  Range addresses[kFilterAddressesMax] = {};  // of MMIO, and ports of port I/O
  uint32_t address_count = 0;                 // 0: any exit, with or without an address
  uint32_t some_vcpus = 0;

  bool all() const { return reasons == ~uint64_t{0} && address_count == 0 && some_vcpus == 0; }
  bool has_vcpu(uint32_t id) const {
    return some_vcpus == 0 || (id < kFilterVcpusMax && (vcpus[id / 64] >> id % 64 & 1) != 0);
  }
  bool has_reason(uint32_t reason) const {
    return (reasons >> (reason < kReasonBitsMax ? reason : kReasonBitsMax) & 1) != 0;
  }
  bool has_address(uint64_t address) const {
    for (uint32_t i = 0; i < address_count && i < kFilterAddressesMax; ++i)
      if (address >= addresses[i].first && address <= addresses[i].last) return true;
    return false;
  }
};

}  // namespace kvmtape
