// Which of KVM's ioctls beside KVM_RUN stand in the recording, and putting them there. Any thread
// of the monitor, after the call; not the vCPU's hot path.
#pragma once

#include <cstdint>

#include "recorder/preload/descriptors.h"

namespace kvmtape::preload {

// `result` and `error` are what the monitor gets to see.
void note_control_call(Kind kind, uint32_t vcpu_id, uint32_t request, void* argument, int result,
                       int error) noexcept;

}  // namespace kvmtape::preload
