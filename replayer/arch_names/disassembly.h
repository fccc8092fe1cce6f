// Instruction bytes in words, by libcapstone: for emulation failures, memory slices at the program
// counter, and `explain`. Any thread; allocates what it returns, which max_instructions bounds.
// Bytes that are no instruction end the list; an architecture that this libcapstone cannot read
// (4.0 of Debian 12 has neither RISC-V nor LoongArch) gives an empty one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {

enum class X86Mode : uint8_t { k16Bit = 16, k32Bit = 32, k64Bit = 64 };

// Where an operand of an x86 instruction lies: segment:[base + index * scale + displacement].
// Registers in lower case; empty: none, and for the segment the one that such an operand has unless
// the instruction says otherwise. "rip" is the next instruction's.
struct X86MemoryOperand {
  std::string segment, base, index;
  uint64_t scale = 1;
  uint64_t displacement = 0;  // sign extended
  bool operator==(const X86MemoryOperand&) const = default;
};

struct Instruction {
  uint64_t address = 0;
  std::vector<uint8_t> bytes;
  std::string text;                          // "mov dword ptr [rax], 1"; Intel syntax on x86
  std::vector<X86MemoryOperand> x86_memory;  // what it names and touches; empty elsewhere
};

inline constexpr size_t kInstructionsMax = 256;  // what max_instructions is cut to

// instruction_order: of ppc64 and mips64 guests, which choose their own; arm64 instructions are
// little-endian and s390x big-endian whatever it says, x86 has none.
std::vector<Instruction> disassemble(Architecture architecture, ByteOrder instruction_order,
                                     std::span<const uint8_t> bytes, uint64_t address,
                                     X86Mode x86_mode, size_t max_instructions);

// False: disassemble() gives nothing for this architecture in this build.
bool can_disassemble(Architecture architecture);

}  // namespace kvmtape
