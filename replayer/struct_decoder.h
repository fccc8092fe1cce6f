// The other structs of KVM's interface that a recording (or a file given to `kvmtape decode`) may
// hold: kvm_vcpu_events, kvm_debugregs, kvm_guest_debug, kvm_regs, kvm_sregs, and the registers
// that travel inside kvm_run. Decoded like exits, by table and with a validity for each field;
// unlike exits they are rare, so this allocates. Text is static, from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "replayer/decode_context.h"
#include "replayer/exit.h"
#include "replayer/raw_moment.h"
#include "schema/base/result.h"

namespace kvmtape {

// Field names are the kernel's inside the struct, "exception.injected"; offsets count from its
// start, so raw_bytes(field, {.kvm_run = bytes}) finds them. What `bytes` is too short for is
// unknown with 0 bytes. kUsage: no such struct on this architecture, or no such abi_variant.
Result<std::vector<Field>> decode_struct(const DecodeContext& context, std::string_view name,
                                         std::span<const uint8_t> bytes);

// struct kvm_sync_regs in kvm_run.s, valid where kvm_valid_regs says so: names from there on,
// "regs.rax", offsets from the start of kvm_run. Empty: the architecture has none (ppc, mips,
// riscv, loongarch), or the recording does not hold the area.
std::vector<Field> decode_sync_regs(const DecodeContext& context, const RawMoment& moment);

}  // namespace kvmtape
