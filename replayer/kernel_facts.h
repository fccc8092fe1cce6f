// What is known of the kernel that wrote the bytes, asked in the order that may be believed:
// capabilities that the session recorded, then the release, since distributions backport.
// Immutable after construction; no call allocates.
#pragma once

#include <cstdint>

#include "replayer/decode_context.h"
#include "schema/abi/registry.h"

namespace kvmtape {

enum class Known : uint8_t { kNo, kYes, kMaybe };

struct KernelFacts {
  explicit KernelFacts(DecodeContext decode_context);

  // Does this kernel have what came with major.minor? kMaybe: it is not known, is an
  // -rc of it, or is an older release that parts of later ones were ported back to.
  Known since(uint32_t major, uint32_t minor) const;
  Known since(abi::Release release) const { return since(release >> 8, release & 0xff); }
  // The same, but the answer to KVM_CHECK_EXTENSION decides when it was recorded.
  Known since(uint32_t capability, uint32_t major, uint32_t minor) const;

  bool is_x86() const;

  DecodeContext context;
  uint16_t union_offset;
  // The stable release, 6.1.33's 33; nullopt: not known (Debian's "6.1.0-49-amd64" does not say it,
  // its uname -v does).
  std::optional<uint32_t> stable_patch;
  Known resets_exit_reason;  // exit_reason is KVM_EXIT_UNKNOWN once KVM_RUN has begun
  Known system_event_ndata;  // struct system_event has ndata and data[16]
  uint16_t flags_of_any;     // bits of kvm_run.flags that some kernel of this architecture sets
  uint16_t flags_of_this;    // those of them that this kernel may set
  Known watchpoint_far;      // debug.arch.far of a watchpoint is the watched address (arm64)
};

}  // namespace kvmtape
