// What dying guests have in common: the states in which several tests of the rules leave one. They
// are constants, for any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {

inline constexpr uint64_t kSecond = 1'000'000'000;     // in ns
inline constexpr uint64_t kText = 0xffffffff81000000;  // of Linux on x86
inline const NamedRegisters kNoIdt = {{"idt.limit", 0}};
inline const std::vector<uint8_t> kAddps = {0x0f, 0x58, 0x03};

// kvm_vcpu_events of arm64: serror_pending, serror_has_esr, ext_dabt_pending.
inline const std::vector<uint8_t> kAbort = {0, 0, 1}, kSerror = {1, 0, 0}, kNothing = {0, 0, 0};

}  // namespace kvmtape::testing
