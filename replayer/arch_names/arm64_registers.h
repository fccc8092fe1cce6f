// arm64 registers by bit name. Pure functions, any thread, any input; text is allocated.
//
// Sources: Arm ARM (DDI 0487) C5.2.18 (SPSR_EL1, whose form PSTATE has here), D19.2.136
// (SCTLR_EL1); arch/arm64/include/uapi/asm/ptrace.h and arch/arm64/kvm/sys_regs.h of Linux 6.12.
#pragma once

#include <cstdint>
#include <string>

namespace kvmtape {

// What KVM puts into a system register that has no reset value (reset_unknown() in sys_regs.h):
// the guest has never written it.
inline constexpr uint64_t kArm64NeverWritten = 0x1de7ec7edbadc0de;

// "EL1h, DAIF masked, flags nZCv"; of a 32-bit guest "AArch32, mode 0x13".
std::string pstate_text(uint64_t pstate);
// "MMU on, caches on, little-endian".
std::string sctlr_el1_text(uint64_t sctlr);

}  // namespace kvmtape
