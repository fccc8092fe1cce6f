#include "replayer/arch_names/disassembly.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

namespace kvmtape {
namespace {

struct Target {
  cs_arch arch;
  unsigned mode;
};

unsigned capstone_mode(X86Mode mode) {
  switch (mode) {
    case X86Mode::k16Bit:
      return CS_MODE_16;
    case X86Mode::k32Bit:
      return CS_MODE_32;
    case X86Mode::k64Bit:
      break;
  }
  return CS_MODE_64;
}

std::optional<Target> target_of(Architecture architecture, ByteOrder order, X86Mode x86_mode) {
  // CS_MODE_BIG_ENDIAN is 1 << 31 of an int: made unsigned before anything is or-ed to it.
  const unsigned endian = order == ByteOrder::kBig ? static_cast<unsigned>(CS_MODE_BIG_ENDIAN)
                                                   : static_cast<unsigned>(CS_MODE_LITTLE_ENDIAN);
  switch (architecture) {
    case Architecture::kX86_64:
    case Architecture::kI386:
      return Target{CS_ARCH_X86, capstone_mode(x86_mode)};
    case Architecture::kAarch64:
      return Target{CS_ARCH_ARM64, CS_MODE_ARM};
    case Architecture::kS390x:
      return Target{CS_ARCH_SYSZ, static_cast<unsigned>(CS_MODE_BIG_ENDIAN)};
    case Architecture::kPpc64:
      return Target{CS_ARCH_PPC, CS_MODE_64 | endian};
    case Architecture::kMips64:
      return Target{CS_ARCH_MIPS, CS_MODE_MIPS64 | endian};
#if CS_API_MAJOR >= 5
    case Architecture::kRiscv64:
      return Target{CS_ARCH_RISCV, CS_MODE_RISCV64 | CS_MODE_RISCVC};
#else
    case Architecture::kRiscv64:
#endif
    case Architecture::kLoongarch64:
    case Architecture::kUnknown:
      break;
  }
  return std::nullopt;
}

// A handle is made and closed by each call: opening costs microseconds, and a crash has few bytes.
class Capstone {
 public:
  explicit Capstone(const Target& target)
      : open_(cs_open(target.arch, static_cast<cs_mode>(target.mode), &handle_) == CS_ERR_OK) {
    if (open_ && target.arch == CS_ARCH_X86) cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  ~Capstone() {
    if (open_) cs_close(&handle_);
  }
  Capstone(const Capstone&) = delete;
  Capstone& operator=(const Capstone&) = delete;

  bool open() const { return open_; }
  csh handle() const { return handle_; }

 private:
  csh handle_ = 0;
  bool open_;
};

std::string text_of(const cs_insn& instruction) {
  const std::string_view operands = instruction.op_str;
  if (operands.empty()) return instruction.mnemonic;
  return fmt::format("{} {}", instruction.mnemonic, operands);
}

std::string register_name(csh handle, unsigned number) {
  const char* name = cs_reg_name(handle, number);
  return name != nullptr ? name : "";
}

std::vector<X86MemoryOperand> x86_memory_of(csh handle, const cs_insn& instruction) {
  std::vector<X86MemoryOperand> found;
  // These two only compute, or do nothing.
  if (instruction.id == X86_INS_LEA || instruction.id == X86_INS_NOP) return found;
  const cs_x86& x86 = instruction.detail->x86;
  for (const cs_x86_op& operand : std::span(x86.operands, x86.op_count))
    if (operand.type == X86_OP_MEM)
      found.push_back(
          {register_name(handle, operand.mem.segment), register_name(handle, operand.mem.base),
           register_name(handle, operand.mem.index), static_cast<uint64_t>(operand.mem.scale),
           static_cast<uint64_t>(operand.mem.disp)});
  return found;
}

}  // namespace

std::vector<Instruction> disassemble(Architecture architecture, ByteOrder instruction_order,
                                     std::span<const uint8_t> bytes, uint64_t address,
                                     X86Mode x86_mode, size_t max_instructions) {
  std::vector<Instruction> result;
  const std::optional<Target> target = target_of(architecture, instruction_order, x86_mode);
  // cs_disasm takes a count of 0 for "all".
  if (!target || bytes.empty() || max_instructions == 0) return result;
  const Capstone capstone(*target);
  if (!capstone.open()) return result;

  cs_insn* list = nullptr;
  const size_t count = cs_disasm(capstone.handle(), bytes.data(), bytes.size(), address,
                                 std::min(max_instructions, kInstructionsMax), &list);
  const auto release = [count](cs_insn* instructions) { cs_free(instructions, count); };
  const std::unique_ptr<cs_insn, decltype(release)> owner(list, release);
  result.reserve(count);
  for (const cs_insn& instruction : std::span(list, count))
    result.push_back({instruction.address,
                      {instruction.bytes, instruction.bytes + instruction.size},
                      text_of(instruction),
                      target->arch == CS_ARCH_X86 ? x86_memory_of(capstone.handle(), instruction)
                                                  : std::vector<X86MemoryOperand>()});
  return result;
}

bool can_disassemble(Architecture architecture) {
  const std::optional<Target> target = target_of(architecture, ByteOrder::kLittle, X86Mode::k64Bit);
  return target && cs_support(target->arch);
}

}  // namespace kvmtape
