// The kernel's name of an exit reason, for reports; "KVM_EXIT_44" for one that is not known yet.
#pragma once

#include <cstdint>
#include <string>

namespace kvmtape {

std::string exit_reason_name(uint32_t reason);

}  // namespace kvmtape
