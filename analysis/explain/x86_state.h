// In which mode an x86 vCPU was, from whatever of its registers is known. Pure functions, any
// thread.
//
// Sources: Intel SDM vol. 3 sections 2.1, 2.2 and 5.4.1 (which bits make which mode); AMD APM vol.
// 2 section 1.3.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/explain/registers.h"
#include "replayer/arch_names/disassembly.h"

namespace kvmtape {

enum class X86Operation : uint8_t {
  kUnknown,
  kReal,
  kVirtual8086,
  kProtected,      // no paging
  kPaged32,        // with paging, 32-bit or PAE
  kCompatibility,  // long mode, 16- or 32-bit code
  kLong,
};
X86Operation x86_operation(const Registers& registers);
std::string_view to_string(X86Operation operation);  // "64-bit long mode"

bool x86_paging(const Registers& registers);
// SP then wraps within its 64 KiB, where the stack may well be.
bool x86_stack_is_16_bit(const Registers& registers);
// What rip means to the segmentation unit: cs.base + rip, or rip in 64-bit code.
std::optional<uint64_t> x86_linear_ip(const Registers& registers);
// How wide the code is; nullopt: not known.
std::optional<X86Mode> x86_code_bits(const Registers& registers);
// The instruction that these bytes begin with; read as 64-bit code where the width is not known.
// nullopt: none does.
std::optional<Instruction> x86_instruction(std::span<const uint8_t> bytes, uint64_t address,
                                           std::optional<X86Mode> bits);

// The linear addresses that an instruction of 64-bit code touches by its operands, as far as the
// registers in them are known.
std::vector<uint64_t> x86_operand_addresses(const Instruction& instruction,
                                            const Registers& registers);

}  // namespace kvmtape
