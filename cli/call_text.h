// A control call, one of the monitor's ioctls beside KVM_RUN, in words: "KVM_CREATE_VCPU(0) on VM:
// 8". Any thread; bytes that are cut short give no text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct CallText {
  std::string text;  // empty: no call can be read
  bool refused = false;
};

// `payload` of a RecordKind::kControlCall, recorded on `architecture`.
CallText text_of_call(Architecture architecture, ByteOrder order, std::span<const uint8_t> payload);

}  // namespace kvmtape
