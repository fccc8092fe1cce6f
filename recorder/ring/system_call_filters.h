// How many system call filters (seccomp) a thread runs under. They are inherited through fork and
// exec, and none can be taken off: whose number is higher than another's has further ones. Nothing
// but open, read and close, which every program's loader uses. Errno may change.
#pragma once

#include <cstdint>

namespace kvmtape {

// 1 for any number where the kernel does not tell it (before 5.9), and for strict mode.
uint32_t system_call_filters(const char* status_file = "/proc/self/status") noexcept;

}  // namespace kvmtape
