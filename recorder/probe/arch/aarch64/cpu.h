// aarch64: how the probe's vCPUs are made and their registers set. EL1h with the MMU off: guest
// addresses are physical, and memory accesses are device accesses, so they must be aligned.
#pragma once

#include <cstdint>

#include "recorder/probe/arch.h"
#include "recorder/probe/machine.h"

namespace kvmtape::arm64 {

// A core register by its index in kvm_regs, in 64-bit registers: 0 to 30 are x0 to x30, 32 is pc.
inline constexpr unsigned kRegisterSp = 31;  // SP_EL0; EL1h uses SP_EL1, which stands elsewhere
inline constexpr unsigned kRegisterPc = 32;
inline constexpr unsigned kRegisterPstate = 33;
void set_core_register(Vcpu& vcpu, unsigned index, uint64_t value);

}  // namespace kvmtape::arm64
