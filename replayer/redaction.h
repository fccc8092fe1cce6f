// What `redact` removes: profiles over the fields of schema/abi and the arguments of control calls,
// by how much each tells about the guest. Constant data, any thread.
//
// A field that a profile keeps is kept where the decoder says that it is valid; every other byte of
// kvm_run but exit_reason and flags is zero in a redacted trace, leftovers of earlier exits
// included. A field that is not in the table is never kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvmtape {

enum class RedactionProfile : uint8_t {
  kNone,
  kPayload,  // values that guest and devices exchange, and bytes of guest memory
  kRegs,     // as well registers: sets, sync area, and what exits show of them
  kStrict,   // everything but reason, flags, kinds and sizes of accesses, addresses, and times
};
// "payload", "regs", "strict"; empty is kNone; nullopt: there is no such profile.
std::optional<RedactionProfile> parse_redaction(std::string_view name);
std::string_view to_string(RedactionProfile profile);

enum class Sensitivity : uint8_t {
  kShape,     // where and how large: addresses, ports, sizes, directions, counts; flags and kinds
              // that say which of these there are
  kFact,      // what happened, in KVM's or an architecture's own numbers
  kRegister,  // the guest's registers, or made of them
  kPayload,   // values in transit, bytes of memory
  kHost,      // where things lie in the monitor's memory: of use to nobody else
};
// nullopt: the field is not in the table.
std::optional<Sensitivity> sensitivity_of(std::string_view field);
// Of the argument of a control call, which most calls take for a pointer; `request` as in
// ControlCallRecord.
Sensitivity sensitivity_of_argument(uint32_t request);

constexpr bool keeps(RedactionProfile profile, Sensitivity sensitivity) {
  switch (profile) {
    case RedactionProfile::kNone:
      return true;
    case RedactionProfile::kPayload:
      return sensitivity <= Sensitivity::kRegister;
    case RedactionProfile::kRegs:
      return sensitivity <= Sensitivity::kFact;
    case RedactionProfile::kStrict:
      return sensitivity == Sensitivity::kShape;
  }
  return false;
}

}  // namespace kvmtape
