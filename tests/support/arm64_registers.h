// KVM's ids of the registers of arm64 that several tests speak of: KVM_REG_ARM64, the size, the
// group, and the encoding that MRS has for it.
#pragma once

#include <cstdint>

namespace kvmtape::testing {

inline constexpr uint64_t kMdccint = 0x6030000000138010, kMdscr = 0x6030000000138012;
inline constexpr uint64_t kOslsr = 0x603000000013808c, kEsrEl1 = 0x603000000013c290;

}  // namespace kvmtape::testing
