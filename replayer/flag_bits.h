// Exit fields that are sets of flags ("memory_fault.flags"), in words where no single name says it
// all. Pure, any thread, any input; allocates where it has something to say.
#pragma once

#include <string>

#include "replayer/exit.h"
#include "schema/trace_format.h"

namespace kvmtape {

// "KVM_HYPERCALL_EXIT_SMC|KVM_HYPERCALL_EXIT_16BIT", bits without a name behind them in hex. Empty:
// no flags, not valid, no bit of it has a name, or Field::value_name says it already.
std::string flag_bits_text(Architecture architecture, const Field& field);

}  // namespace kvmtape
