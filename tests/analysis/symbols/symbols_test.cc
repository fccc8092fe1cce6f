// System.map and kallsyms, and where KASLR put the kernel.
#include "analysis/symbols/symbols.h"

#include <gmock/gmock.h>

#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

class SymbolsTest : public ::testing::Test {
 protected:
  Result<Symbols> load(const std::string& text) {
    const std::string path = scratch_.file("map");
    write_file(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return Symbols::load(path);
  }
  ScratchDirectory scratch_;
};

TEST_F(SymbolsTest, AnAddressInsideAFunctionHasItsNameAndDistance) {
  auto symbols = load("ffffffff81000000 T _text\nffffffff81000100 t do_idle\n");
  ASSERT_TRUE(symbols.ok());
  EXPECT_EQ(symbols->at(0xffffffff81000100), "do_idle");
  EXPECT_EQ(symbols->at(0xffffffff81000112), "do_idle+0x12");
  EXPECT_EQ(symbols->at(0xffffffff80ffffff), "");
  EXPECT_EQ(symbols->at(0xffffffffc0000000), "") << "too far behind the last one";
}

TEST_F(SymbolsTest, TheOffsetMovesEverySymbol) {
  auto symbols = load("ffffffff81000100 t do_idle\n");
  ASSERT_TRUE(symbols.ok());
  symbols->set_offset(0x1a000000);
  EXPECT_EQ(symbols->at(0xffffffff9b000102), "do_idle+0x2");
  EXPECT_EQ(symbols->address_of("do_idle"), 0xffffffff9b000100);
  EXPECT_EQ(symbols->address_of("panic"), std::nullopt);
}

TEST_F(SymbolsTest, ModulesAndAbsoluteSymbolsAreTold) {
  auto symbols = load("0000000000001000 A per_cpu\nffffffffc0001000 t nvme_irq\t[nvme]\n");
  ASSERT_TRUE(symbols.ok());
  EXPECT_EQ(symbols->count(), 1u);
  EXPECT_EQ(symbols->at(0xffffffffc0001004), "nvme_irq+0x4 [nvme]");
  EXPECT_TRUE(symbols->as_it_ran());
}

TEST_F(SymbolsTest, FunctionsOfOneNameAreTwoPlaces) {
  auto symbols = load("ffffffff81000100 t t_next\nffffffff81020100 t t_next\n");
  ASSERT_TRUE(symbols.ok());
  EXPECT_EQ(symbols->at(0xffffffff81000110), symbols->at(0xffffffff81020110));
  EXPECT_NE(symbols->place_of(0xffffffff81000110), symbols->place_of(0xffffffff81020110));
}

TEST_F(SymbolsTest, OfTwoNamesOfOneAddressTheFirstIsTakenInWhateverOrderTheyStand) {
  for (const char* text : {"ffffffff81000100 t sys_b\nffffffff81000100 t sys_a\n",
                           "ffffffff81000100 t sys_a\nffffffff81000100 t sys_b\n"}) {
    auto symbols = load(text);
    ASSERT_TRUE(symbols.ok());
    EXPECT_EQ(symbols->at(0xffffffff81000101), "sys_a+0x1");
    EXPECT_EQ(symbols->address_of("sys_b"), 0xffffffff81000100);
  }
}

TEST_F(SymbolsTest, HiddenAddressesAreAMistakeWithAWayOut) {
  auto symbols = load("0000000000000000 T _text\n0000000000000000 T do_idle\n");
  ASSERT_FALSE(symbols.ok());
  EXPECT_THAT(symbols.error().to_string(), HasSubstr("as root"));
}

TEST_F(SymbolsTest, WhatIsNoMapIsSaidToBeNone) {
  EXPECT_FALSE(load("\x7f"
                    "ELF garbage\n")
                   .ok());
  EXPECT_FALSE(Symbols::load(scratch_.file("missing")).ok());
}

#ifdef KVMTAPE_HAS_ELFUTILS
TEST_F(SymbolsTest, AnElfFileHasItsFunctions) {
  auto symbols = Symbols::load("/proc/self/exe");
  ASSERT_TRUE(symbols.ok()) << symbols.error().to_string();
  const auto main = symbols->address_of("main");
  ASSERT_TRUE(main.has_value());
  EXPECT_EQ(symbols->at(*main), "main");
}
#endif

TEST_F(SymbolsTest, ADamagedElfFileIsAMistake) {
  EXPECT_FALSE(load("\x7f"
                    "ELF and nothing of it")
                   .ok());
}

TEST(KernelOffset, IsWhatThePanicSaid) {
  EXPECT_EQ(kernel_offset_in("[ 1.0] Kernel Offset: 0x1a000000 from 0xffffffff81000000 (rel"),
            0x1a000000u);
  EXPECT_EQ(kernel_offset_in("Kernel Offset: disabled\n"), 0u);
  EXPECT_EQ(kernel_offset_in("Kernel panic - not syncing"), std::nullopt);
}

}  // namespace
}  // namespace kvmtape::testing
