// One moment of an exit as it was recorded: the bytes of kvm_run and of port I/O, and what KVM_RUN
// returned. Borrows its bytes: whoever made it keeps them alive while an Exit is decoded from it.
// Plain data, any thread.
#pragma once

#include <cstdint>
#include <span>

namespace kvmtape {

struct RawMoment {
  std::span<const uint8_t> kvm_run;  // from offset 0; 288 bytes, or more with the sync area;
                                     // anything shorter is decoded as far as it goes
  std::span<const uint8_t> data;     // the bytes at io.data_offset
  int32_t ret = 0;                   // 0, or the negated errno of KVM_RUN (Linux generic numbers)
  bool ret_known = true;             // false: a bare page, nobody knows what KVM_RUN returned;
                                     // it is read as after a KVM_RUN that succeeded
  bool is_answer = false;            // what the monitor left behind for the next KVM_RUN
  bool reason_is_new = false;        // the exit's exit_reason was another one as KVM_RUN began
};

// What KVM_RUN fails with: asm-generic/errno-base.h and errno.h, Linux 6.12. Traces hold these
// whatever the recording host's numbers were.
inline constexpr int32_t kEintr = 4;
inline constexpr int32_t kEnoexec = 8;
inline constexpr int32_t kEagain = 11;
inline constexpr int32_t kEfault = 14;
inline constexpr int32_t kEhwpoison = 133;

// What errno was; 0 for a KVM_RUN that did not fail. Damaged recordings hold any number.
constexpr int32_t errno_of(int32_t ret) {
  return ret < 0 ? static_cast<int32_t>(0u - static_cast<uint32_t>(ret)) : 0;
}

}  // namespace kvmtape
