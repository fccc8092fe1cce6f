// An ioctl that the monitor made beside KVM_RUN, as the recording holds it: what it set, what it
// injected. Borrows the record's bytes. Any thread, any input.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "replayer/redaction.h"
#include "schema/chunk_codec.h"
#include "schema/snapshot.h"

namespace kvmtape {

struct ControlCall {
  DescriptorKind descriptor{};
  uint32_t request = 0;
  std::optional<uint64_t> argument;  // a number or an address in the monitor; nullopt: redacted
  uint32_t vcpu_id = ~0u;
  int32_t result = 0;
  uint32_t error = 0;
  std::span<const uint8_t> in;
  std::span<const uint8_t> out;

  // Low 16 bits of the request, type and number: the same on every architecture.
  uint32_t number() const { return request & 0xffff; }
};
// nullopt: another kind of record, or cut short. `redaction`: of the recording that it is from.
std::optional<ControlCall> control_call_of(const SideRecord& record, RedactionProfile redaction);

// Type and number of the calls that rules look for; include/uapi/linux/kvm.h, Linux 7.3.
enum ControlNumber : uint32_t {
  kCallCreateVm = 0xae01,
  kCallSetUserMemoryRegion = 0xae46,
  kCallSetUserMemoryRegion2 = 0xae49,
  kCallCreateIrqchip = 0xae60,
  kCallGetRegs = 0xae81,
  kCallSetRegs = 0xae82,
  kCallGetSregs = 0xae83,
  kCallSetSregs = 0xae84,
  kCallInterrupt = 0xae86,
  kCallNmi = 0xae9a,
  kCallSetGuestDebug = 0xae9b,
  kCallSetMce = 0xae9e,
  kCallGetVcpuEvents = 0xae9f,
  kCallSetVcpuEvents = 0xaea0,
  kCallSetOneReg = 0xaeac,
  kCallGetSregs2 = 0xaecc,
  kCallSetSregs2 = 0xaecd,
};

}  // namespace kvmtape
