// An ioctl beside KVM_RUN, made and noted in the trace with its payload, result and errno. Where
// the kernel says no, the guest ends as refused ("KVM_ENABLE_CAP(KVM_CAP_X): EINVAL").
#pragma once

#include <cstddef>
#include <cstdint>

#include "recorder/probe/stage.h"

namespace kvmtape {

struct NotedCall {
  kvmtape_descriptor descriptor;
  int fd;
  const kvmtape_vcpu* tape;  // of a vCPU's descriptor, else null
  unsigned long request;
  const char* name;  // for the report
};

// Without a payload: `value` is the argument itself. -1 when refused.
int noted_ioctl(Stage& stage, const NotedCall& call, uint64_t value);

// `payload` holds `bytes`, which may go on behind the struct that the request encodes.
int noted_ioctl(Stage& stage, const NotedCall& call, void* payload, size_t bytes);

// "EINVAL"; "unknown errno" where libc has no name for it.
const char* errno_name(int error_number);

}  // namespace kvmtape
