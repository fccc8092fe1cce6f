// KVM_CAP_ numbers by name, for people: `info` prints them. Numbers and names: KVM_CAP_ macros of
// include/uapi/linux/kvm.h, Linux 6.1, with those of later releases that decoding rests on.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvmtape {

// "KVM_CAP_SYSTEM_EVENT_DATA" for 215; empty where this build knows none.
std::string_view capability_name(uint32_t number);

}  // namespace kvmtape
