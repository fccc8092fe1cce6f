// Which port, register, MSR or hypercall an exit is about: what `stat` counts below the exit's
// name. Works on the decoded exit, so that only what may be believed becomes a key. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replayer/exit.h"
#include "schema/trace_format.h"

namespace kvmtape {

enum class KeyKind : uint8_t { kPort, kAddress, kMsr, kHypercall, kEc, kOther };

// What the keys of exits with this reason are; exits of most reasons have no key.
KeyKind key_kind(uint32_t reason);
// Whether they are guest physical addresses (of a LoongArch IOCSR they are not).
bool key_is_guest_address(uint32_t reason);
// What stands before the number in exit_key_text().
std::string_view key_word(uint32_t reason);
// An exit that has no key has none of these. Of one that carries a syndrome it is the syndrome's
// exception class (EC).
std::optional<uint64_t> exit_key(const Exit& exit);
// "port 0x3f8", "mmio 0xfee000b0", "msr 0xc0000080 MSR_EFER", "ec 0x3c BRK64".
std::string exit_key_text(Architecture architecture, uint32_t reason, uint64_t key);

}  // namespace kvmtape
