// What an exit is called where only its reason and KVM_RUN's errno are known, and errno by name.
// Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace kvmtape {

// "EINTR" for 4; the number where it has no name. Linux generic numbers, as traces hold them.
std::string errno_name(int32_t error);

// KVM_RUN reported an exit: it succeeded, or failed in the way that is part of this exit. Else the
// reason may be left over from an earlier one.
bool reports_exit(uint32_t reason, int32_t error);

// "KVM_EXIT_IO"; "KVM_EXIT_44" for a reason that this build does not know; "KVM_RUN EAGAIN" where
// KVM_RUN failed and did not report an exit by that.
std::string exit_label(uint32_t reason, int32_t error);

}  // namespace kvmtape
