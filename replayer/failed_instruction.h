// The instruction that KVM could not emulate, in words: emulation_failure.insn_bytes of
// KVM_EXIT_INTERNAL_ERROR, which hold what KVM had fetched, mostly more than one instruction.
// Allocates what it returns; any thread, any input.
#pragma once

#include <optional>
#include <vector>

#include "replayer/arch_names/disassembly.h"
#include "replayer/decode_context.h"
#include "replayer/exit.h"
#include "replayer/raw_moment.h"

namespace kvmtape {

struct FailedInstruction {
  std::vector<Instruction> code;  // the first is the one; empty: these bytes are no instruction
  X86Mode mode = X86Mode::k64Bit;
  // The code segment of the registers inside kvm_run says so, or the first instruction is the same
  // one in every mode. Else it is what most guests of this architecture run.
  bool mode_known = false;
};
// nullopt: the exit has no such bytes, or they may not be believed.
std::optional<FailedInstruction> failed_instruction(const DecodeContext& context,
                                                    const RawMoment& moment, const Exit& exit);

}  // namespace kvmtape
