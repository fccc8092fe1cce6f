#include "replayer/arch_names/disassembly.h"

#include <gtest/gtest.h>

#include <random>

namespace kvmtape {
namespace {

std::vector<std::string> lines(Architecture architecture, ByteOrder order,
                               std::vector<uint8_t> bytes, X86Mode mode = X86Mode::k64Bit) {
  std::vector<std::string> result;
  for (const Instruction& instruction : disassemble(architecture, order, bytes, 0x1000, mode, 16))
    result.push_back(instruction.text);
  return result;
}
using Lines = std::vector<std::string>;

TEST(Disassembly, ReadsEachArchitecture) {
  EXPECT_EQ(lines(Architecture::kX86_64, ByteOrder::kLittle, {0x0f, 0x0b, 0xf4}),
            (Lines{"ud2", "hlt"}));
  EXPECT_EQ(lines(Architecture::kAarch64, ByteOrder::kLittle, {0x80, 0x46, 0x22, 0xd4}),
            (Lines{"brk #0x1234"}));
  EXPECT_EQ(lines(Architecture::kPpc64, ByteOrder::kLittle, {0x22, 0x00, 0x00, 0x44}),
            (Lines{"sc 1"}));
  EXPECT_EQ(lines(Architecture::kMips64, ByteOrder::kBig, {0x00, 0x00, 0x00, 0x0d}),
            (Lines{"break"}));
  EXPECT_EQ(lines(Architecture::kS390x, ByteOrder::kBig, {0x07, 0xfe}), (Lines{"br %r14"}));
}

TEST(Disassembly, ReadsTheSameBytesByX86Mode) {
  const std::vector<uint8_t> bytes = {0xb8, 0x01, 0x00, 0x90, 0x90};
  EXPECT_EQ(lines(Architecture::kX86_64, ByteOrder::kLittle, bytes, X86Mode::k16Bit),
            (Lines{"mov ax, 1", "nop", "nop"}));
  EXPECT_EQ(lines(Architecture::kX86_64, ByteOrder::kLittle, bytes, X86Mode::k32Bit),
            (Lines{"mov eax, 0x90900001"}));
}

TEST(Disassembly, ReadsPpcByteOrder) {
  EXPECT_EQ(lines(Architecture::kPpc64, ByteOrder::kBig, {0x44, 0x00, 0x00, 0x22}),
            lines(Architecture::kPpc64, ByteOrder::kLittle, {0x22, 0x00, 0x00, 0x44}));
}

TEST(Disassembly, KeepsAddressAndBytes) {
  const uint8_t bytes[] = {0x90, 0x0f, 0x0b};
  const auto result = disassemble(Architecture::kX86_64, ByteOrder::kLittle, bytes,
                                  0xffffffff81000000, X86Mode::k64Bit, 16);
  ASSERT_EQ(result.size(), 2u);
  EXPECT_EQ(result[1].address, 0xffffffff81000001);
  EXPECT_EQ(result[1].bytes, (std::vector<uint8_t>{0x0f, 0x0b}));
}

TEST(Disassembly, SaysWhereAnX86InstructionsOperandsLie) {
  const auto memory = [](std::vector<uint8_t> bytes) {
    return disassemble(Architecture::kX86_64, ByteOrder::kLittle, bytes, 0x1000, X86Mode::k64Bit, 1)
        .at(0)
        .x86_memory;
  };
  using Operands = std::vector<X86MemoryOperand>;
  EXPECT_EQ(memory({0x8b, 0x44, 0x8b, 0xf0}),
            (Operands{{"", "rbx", "rcx", 4, static_cast<uint64_t>(-0x10)}}));
  EXPECT_EQ(memory({0x65, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0}), (Operands{{"gs", "", "", 1, 0x28}}));
  EXPECT_EQ(memory({0xa4}), (Operands{{"", "rdi", "", 1, 0}, {"", "rsi", "", 1, 0}}));
  EXPECT_EQ(memory({0x48, 0x8d, 0x43, 0x10}), Operands{}) << "LEA touches nothing";
  EXPECT_EQ(memory({0xf4}), Operands{});
}

TEST(Disassembly, StopsAtBytesThatAreNoInstruction) {
  EXPECT_EQ(lines(Architecture::kX86_64, ByteOrder::kLittle, {0x90, 0x06, 0x90}), (Lines{"nop"}));
  EXPECT_EQ(lines(Architecture::kX86_64, ByteOrder::kLittle, {0x0f}), Lines{});
  EXPECT_EQ(lines(Architecture::kAarch64, ByteOrder::kLittle, {0x1f, 0x20, 0x03}), Lines{});
}

TEST(Disassembly, BoundsTheNumberOfInstructions) {
  const std::vector<uint8_t> nops(4096, 0x90);
  const auto count = [&](size_t max) {
    return disassemble(Architecture::kX86_64, ByteOrder::kLittle, nops, 0, X86Mode::k64Bit, max)
        .size();
  };
  EXPECT_EQ(count(0), 0u);
  EXPECT_EQ(count(3), 3u);
  EXPECT_EQ(count(SIZE_MAX), kInstructionsMax);
}

TEST(Disassembly, GivesNothingForAnUnknownArchitecture) {
  EXPECT_EQ(lines(Architecture::kUnknown, ByteOrder::kLittle, {0x90}), Lines{});
  EXPECT_EQ(lines(static_cast<Architecture>(999), ByteOrder::kLittle, {0x90}), Lines{});
  EXPECT_FALSE(can_disassemble(Architecture::kUnknown));
  EXPECT_TRUE(can_disassemble(Architecture::kX86_64));
}

TEST(DisassemblyProperty, AnyBytesAreReadInOrderOrRefused) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes(random() % 40);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const auto architecture = static_cast<Architecture>(random() % 10);
    const ByteOrder order = random() % 2 == 0 ? ByteOrder::kLittle : ByteOrder::kBig;
    constexpr X86Mode kModes[] = {X86Mode::k16Bit, X86Mode::k32Bit, X86Mode::k64Bit};
    uint64_t next = 0x4000;
    for (const Instruction& instruction :
         disassemble(architecture, order, bytes, next, kModes[random() % 3], 64)) {
      ASSERT_EQ(instruction.address, next);
      ASSERT_FALSE(instruction.text.empty());
      next += instruction.bytes.size();
    }
    ASSERT_LE(next - 0x4000, bytes.size());
  }
}

}  // namespace
}  // namespace kvmtape
