// The flags and registers inside KVM's other structs in words, and how long those structs are.
// Pure functions, any thread, any input; struct_field_text allocates.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "replayer/exit.h"
#include "schema/trace_format.h"

namespace kvmtape {

// "KVM_VCPUEVENT_VALID_SHADOW|KVM_VCPUEVENT_VALID_SMM" for a valid `flags` of kvm_vcpu_events;
// "PE|NE|PG" for cr0. Empty: a plain number, or not to be believed. `structure` may be
// "kvm_sync_regs", whose fields begin with "regs.", "sregs." or "events.".
std::string struct_field_text(Architecture architecture, std::string_view structure,
                              const Field& field);

// sizeof, the same in all kernels; nullopt: no such struct on this architecture.
std::optional<size_t> struct_bytes(Architecture architecture, std::string_view structure);

}  // namespace kvmtape
