// Which port, register, MSR or hypercall an exit is about: what `stat` counts below the exit's
// name. Works on the decoded exit, so that only what may be believed becomes a key. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "replayer/exit.h"
#include "schema/trace_format.h"

namespace kvmtape {

// An exit that has no key has none of these.
std::optional<uint64_t> exit_key(const Exit& exit);
// "port 0x3f8", "mmio 0xfee000b0", "msr 0xc0000080 MSR_EFER".
std::string exit_key_text(Architecture architecture, uint32_t reason, uint64_t key);

}  // namespace kvmtape
