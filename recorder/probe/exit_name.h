// The kernel's name of an exit reason, for reports; "KVM_EXIT_44" for one that is not known yet.
// The replayer has tables of its own, which the recorder does not see (they decode, this one only
// names). Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace kvmtape {

std::string exit_reason_name(uint32_t reason);

}  // namespace kvmtape
