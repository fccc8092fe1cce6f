#include "analysis/explain/x86_state.h"

#include <string>
#include <utility>

namespace kvmtape {
namespace {

constexpr uint64_t kCr0Pe = 1, kCr0Pg = uint64_t{1} << 31;
constexpr uint64_t kEferLma = uint64_t{1} << 10;
constexpr uint64_t kFlagVm = uint64_t{1} << 17;

}  // namespace

X86Operation x86_operation(const Registers& registers) {
  const auto cr0 = registers.get("cr0");
  if (!cr0) return X86Operation::kUnknown;
  if ((*cr0 & kCr0Pe) == 0) return X86Operation::kReal;
  if ((registers.get_or("efer", 0) & kEferLma) != 0)
    return registers.get_or("cs.l", 1) != 0 ? X86Operation::kLong : X86Operation::kCompatibility;
  if ((registers.get_or("rflags", 0) & kFlagVm) != 0) return X86Operation::kVirtual8086;
  return (*cr0 & kCr0Pg) != 0 ? X86Operation::kPaged32 : X86Operation::kProtected;
}

std::string_view to_string(X86Operation operation) {
  switch (operation) {
    case X86Operation::kReal:
      return "real mode";
    case X86Operation::kVirtual8086:
      return "virtual-8086 mode";
    case X86Operation::kProtected:
      return "protected mode without paging";
    case X86Operation::kPaged32:
      return "32-bit protected mode with paging";
    case X86Operation::kCompatibility:
      return "compatibility mode";
    case X86Operation::kLong:
      return "64-bit long mode";
    case X86Operation::kUnknown:
      break;
  }
  return "an unknown mode";
}

bool x86_paging(const Registers& registers) {
  return (registers.get_or("cr0", kCr0Pg) & kCr0Pg) != 0;
}

bool x86_stack_is_16_bit(const Registers& registers) {
  const X86Operation operation = x86_operation(registers);
  if (operation == X86Operation::kLong) return false;
  return operation == X86Operation::kReal || operation == X86Operation::kVirtual8086 ||
         registers.get_or("ss.db", 1) == 0;
}

std::optional<uint64_t> x86_linear_ip(const Registers& registers) {
  const auto rip = registers.get("rip");
  if (!rip) return std::nullopt;
  const X86Operation operation = x86_operation(registers);
  if (operation == X86Operation::kLong) return *rip;
  const auto base = registers.get("cs.base");
  if (!base || operation == X86Operation::kUnknown) return std::nullopt;
  return (*base + *rip) & 0xffffffff;
}

std::optional<X86Mode> x86_code_bits(const Registers& registers) {
  switch (x86_operation(registers)) {
    case X86Operation::kUnknown:
      return std::nullopt;
    case X86Operation::kReal:
    case X86Operation::kVirtual8086:
      return X86Mode::k16Bit;
    case X86Operation::kLong:
      return X86Mode::k64Bit;
    default:
      return registers.get_or("cs.db", 1) != 0 ? X86Mode::k32Bit : X86Mode::k16Bit;
  }
}

std::optional<Instruction> x86_instruction(std::span<const uint8_t> bytes, uint64_t address,
                                           std::optional<X86Mode> bits) {
  auto found = disassemble(Architecture::kX86_64, ByteOrder::kLittle, bytes, address,
                           bits.value_or(X86Mode::k64Bit), 1);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<uint64_t> x86_operand_addresses(const Instruction& instruction,
                                            const Registers& registers) {
  std::vector<uint64_t> addresses;
  if (x86_operation(registers) != X86Operation::kLong) return addresses;
  const auto value_of = [&](const std::string& name) -> std::optional<uint64_t> {
    if (name.empty()) return 0;
    const auto value = registers.get(name);
    return value && name == "rip" ? *value + instruction.bytes.size() : value;
  };
  for (const X86MemoryOperand& operand : instruction.x86_memory) {
    // The other segments begin at 0 in 64-bit code.
    const bool has_base = operand.segment == "fs" || operand.segment == "gs";
    const auto segment = has_base ? registers.get(operand.segment + ".base") : 0;
    const auto base = value_of(operand.base), index = value_of(operand.index);
    if (segment && base && index)
      addresses.push_back(*segment + *base + *index * operand.scale + operand.displacement);
  }
  return addresses;
}

}  // namespace kvmtape
