#include "replayer/failed_instruction.h"

#include "replayer/exit_decoder.h"
#include "replayer/struct_decoder.h"

namespace kvmtape {
namespace {

const Field* valid_of(std::span<const Field> fields, std::string_view name) {
  for (const Field& field : fields)
    if (field.name == name && field.validity == Validity::kValid) return &field;
  return nullptr;
}

std::optional<X86Mode> mode_of(std::span<const Field> registers) {
  const Field* is_long = valid_of(registers, "sregs.cs.l");
  const Field* is_32_bit = valid_of(registers, "sregs.cs.db");
  if (is_long == nullptr || is_32_bit == nullptr) return std::nullopt;
  if (is_long->value != 0) return X86Mode::k64Bit;
  return is_32_bit->value != 0 ? X86Mode::k32Bit : X86Mode::k16Bit;
}

}  // namespace

std::optional<FailedInstruction> failed_instruction(const DecodeContext& context,
                                                    const RawMoment& moment, const Exit& exit) {
  const Field* insn = valid_of(exit.all_fields(), "emulation_failure.insn_bytes");
  if (insn == nullptr) return std::nullopt;
  const std::vector<Field> registers = decode_sync_regs(context, moment);
  const Field* rip = valid_of(registers, "regs.rip");
  const auto read_as = [&](X86Mode mode) {
    return disassemble(context.architecture, context.byte_order, raw_bytes(*insn, moment),
                       rip == nullptr ? 0 : rip->value, mode, kInstructionsMax);
  };
  FailedInstruction failed;
  const std::optional<X86Mode> recorded = mode_of(registers);
  if (recorded)
    failed.mode = *recorded;
  else if (context.architecture == Architecture::kI386)
    failed.mode = X86Mode::k32Bit;
  failed.code = read_as(failed.mode);
  failed.mode_known = true;
  if (recorded) return failed;
  for (const X86Mode mode : {X86Mode::k16Bit, X86Mode::k32Bit, X86Mode::k64Bit}) {
    const std::vector<Instruction> code = read_as(mode);
    const bool same = code.empty() == failed.code.empty() &&
                      (code.empty() || (code[0].text == failed.code[0].text &&
                                        code[0].bytes == failed.code[0].bytes));
    failed.mode_known = failed.mode_known && same;
  }
  return failed;
}

}  // namespace kvmtape
