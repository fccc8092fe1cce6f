// DR6 and DR7 in words: which breakpoint fired, and what each slot was set to watch. For
// debug.arch.dr6 and dr7 of KVM_EXIT_DEBUG (which KVM fills for #DB only, not for #BP), for
// kvm_debugregs and for kvm_guest_debug. Pure functions, any thread, any input; _text allocates.
//
// Source: Intel SDM vol. 3 section 18.2 (18.2.3 DR6, 18.2.4 DR7, 18.3.1.6 bus locks). DR6 bits 11
// and 16 are inverted: the processor clears them to report.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace kvmtape {

inline constexpr int kX86BreakpointSlots = 4;

struct Dr6 {
  uint8_t slots = 0;             // bit n: the condition of breakpoint n was met (B0 to B3)
  bool bus_lock = false;         // bit 11 is clear
  bool register_access = false;  // BD
  bool single_step = false;      // BS
  bool task_switch = false;      // BT
  bool in_transaction = false;   // RTM, bit 16 is clear
};
Dr6 decode_dr6(uint64_t dr6);

enum class Dr7Access : uint8_t { kExecute = 0, kWrite = 1, kIo = 2, kReadWrite = 3 };
struct Dr7Slot {
  bool local_enable = false;
  bool global_enable = false;
  Dr7Access access = Dr7Access::kExecute;  // kIo only under CR4.DE; undefined without
  uint8_t bytes = 1;
  bool enabled() const { return local_enable || global_enable; }
};
struct Dr7 {
  std::array<Dr7Slot, kX86BreakpointSlots> slots;
  bool local_exact = false;     // LE
  bool global_exact = false;    // GE
  bool transactional = false;   // RTM
  bool general_detect = false;  // GD
};
Dr7 decode_dr7(uint64_t dr7);

// "single step, breakpoint 1"; "nothing reported".
std::string dr6_text(uint64_t dr6);
// "0: write 4 bytes (L), 2: execute (L|G)"; "no breakpoint enabled".
std::string dr7_text(uint64_t dr7);
// As dr6_text, with what a breakpoint that fired was watching: "breakpoint 1 (write 4 bytes)". B0
// to B3 of slots that DR7 does not enable may be set as well; they are named as not enabled.
std::string debug_exception_text(uint64_t dr6, uint64_t dr7);

}  // namespace kvmtape
