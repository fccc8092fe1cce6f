// A control call, one of the monitor's ioctls beside KVM_RUN, in words: "KVM_CREATE_VCPU(0) on VM:
// 8". Any thread.
#pragma once

#include <string>

#include "analysis/control_call.h"
#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct CallText {
  std::string text;
  bool refused = false;
};

// A call that was recorded on `architecture`.
CallText text_of_call(Architecture architecture, ByteOrder order, const ControlCall& call);

}  // namespace kvmtape
