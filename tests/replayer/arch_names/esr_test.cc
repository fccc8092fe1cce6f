#include "replayer/arch_names/esr.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "replayer/arch_names/esr_tables.h"
#include "tests/replayer/arch_names/header_constants.h"

namespace kvmtape {
namespace {

std::string text(uint64_t esr) { return esr_text(decode_esr(esr, false)); }

// hsr values that kernels 5.10 to 7.2 left in kvm_run for guests whose instructions are known.
TEST(Esr, NamesWhatRealKernelsReported) {
  EXPECT_EQ(text(0xf2001234), "BRK #0x1234");
  EXPECT_EQ(text(0xcb000022), "software step from a lower EL");
  EXPECT_EQ(text(0xca000022), "software step from a lower EL");
  EXPECT_EQ(text(0xc2000022), "hardware breakpoint from a lower EL");
  EXPECT_EQ(text(0xd2000022), "watchpoint from a lower EL, read");
  EXPECT_EQ(text(0xd2000062), "watchpoint from a lower EL, write");
  // What a guest saw in its own ESR_EL1 after KVM injected an external abort.
  EXPECT_EQ(text(0x96000010), "data abort from the same EL, synchronous external abort, read");
}

TEST(Esr, SplitsBrkIntoItsParts) {
  const Esr esr = decode_esr(0xf2001234, false);
  EXPECT_EQ(esr.ec, 0x3c);
  EXPECT_EQ(esr.ec_name, "BRK64");
  EXPECT_EQ(esr.il, 1);
  EXPECT_EQ(esr.iss, 0x1234u);
  ASSERT_EQ(esr.field_count, 1);
  EXPECT_EQ(esr.fields[0].name, "comment");
  EXPECT_EQ(esr.fields[0].value, 0x1234u);
}

TEST(Esr, NamesDataAbortAccessAndRegister) {
  // ISV, SAS word, SRT 3, WnR, translation fault level 3, lower EL.
  const uint64_t write = 0x24ull << 26 | 1u << 25 | 1u << 24 | 2u << 22 | 3u << 16 | 1u << 6 | 0x07;
  EXPECT_EQ(text(write),
            "data abort from a lower EL, translation fault level 3, write of 4 bytes, x3");
  const uint64_t byte_read = 0x24ull << 26 | 1u << 25 | 1u << 24 | 31u << 16 | 0x0d;
  EXPECT_EQ(text(byte_read),
            "data abort from a lower EL, permission fault level 1, read of 1 byte, xzr");
  const uint64_t maintenance = 0x24ull << 26 | 1u << 25 | 1u << 8 | 1u << 6 | 0x07;
  EXPECT_EQ(text(maintenance),
            "data abort from a lower EL, translation fault level 3, cache maintenance");
}

TEST(Esr, ShowsAccessFieldsOnlyUnderIsv) {
  const uint64_t without_isv = 0x24ull << 26 | 2u << 22 | 3u << 16 | 0x07;
  for (const char* name : {"sas", "sse", "srt", "sf", "ar"}) {
    EXPECT_EQ(decode_esr(without_isv, false).find(name), nullptr) << name;
    EXPECT_NE(decode_esr(without_isv | 1u << 24, false).find(name), nullptr) << name;
  }
}

TEST(Esr, BelievesFarOnlyWhereClassAndFnvAllow) {
  EXPECT_TRUE(decode_esr(0xd2000022, false).far_valid);
  EXPECT_FALSE(decode_esr(0xd2000022 | 1u << 10, false).far_valid);
  EXPECT_TRUE(decode_esr(0x22ull << 26, false).far_valid);
  EXPECT_FALSE(decode_esr(0xf2001234, false).far_valid);
  EXPECT_TRUE(decode_arm_sea(0x92000010).far_valid);
  EXPECT_FALSE(decode_arm_sea(0x92000410).far_valid);
}

TEST(Esr, IgnoresHighWordThatIsNotBelieved) {
  const uint64_t poison = 0xaaaaaaaa00000000;
  const Esr stale = decode_esr(poison | 0x92000007, false);
  EXPECT_EQ(stale.value, 0x92000007u);
  EXPECT_EQ(stale.iss2, 0u);
  EXPECT_EQ(stale.find("overlay"), nullptr);
  const Esr valid = decode_esr(1ull << 38 | 0x92000007, true);
  EXPECT_EQ(valid.iss2, 1u << 6);
  EXPECT_EQ(valid.value_of("overlay"), 1u);
  EXPECT_EQ(valid.value_of("gcs"), 0u);
}

TEST(Esr, ReadsBits12To11ByFaultStatus) {
  const uint64_t both = 0x92000000 | 3u << 11;
  EXPECT_EQ(decode_esr(both | 0x10, false).find("set")->value_name, "restartable (UEO)");
  EXPECT_EQ(decode_esr(both | 0x10, false).find("lst"), nullptr);
  EXPECT_EQ(decode_esr(both | 0x35, false).find("lst")->value_name, "ST64BV0");
  EXPECT_EQ(decode_esr(both | 0x35, false).find("set"), nullptr);
  EXPECT_EQ(decode_esr(both | 0x21, false).find("set"), nullptr);
  EXPECT_EQ(decode_esr(both | 0x21, false).find("lst"), nullptr);
}

TEST(Esr, HidesSErrorSyndromeThatIsImplementationDefined) {
  const Esr known = decode_esr(0x2full << 26 | 2u << 10 | 0x11, false);
  EXPECT_EQ(known.find("aet")->value_name, "restartable (UEO)");
  EXPECT_EQ(esr_text(known), "SError, restartable (UEO)");
  const Esr own = decode_esr(0x2full << 26 | 1u << 24 | 2u << 10 | 0x11, false);
  EXPECT_EQ(own.find("aet"), nullptr);
  EXPECT_EQ(esr_text(own), "SError, implementation defined syndrome");
}

TEST(Esr, NamesTrappedInstructions) {
  EXPECT_EQ(text(0x01ull << 26 | 1), "trapped wait instruction: WFE");
  EXPECT_EQ(text(0x16ull << 26), "HVC #0x0");
  EXPECT_EQ(text(0x15ull << 26 | 7), "SVC #0x7");
  // MRS x5, MIDR_EL1: op0 3, op1 0, CRn 0, CRm 0, op2 0.
  EXPECT_EQ(text(0x18ull << 26 | 3u << 20 | 5u << 5 | 1), "trapped read of S3_0_C0_C0_0 into x5");
  EXPECT_EQ(text(0x1aull << 26 | 3), "trapped exception return: ERETAB");
  EXPECT_EQ(text(0x3ffull << 22), "reserved exception class 0x3f");
}

TEST(Esr, KnowsWhatLinuxMeansByBrk) {
  EXPECT_EQ(linux_brk_meaning(0x004), "kprobe");
  EXPECT_EQ(linux_brk_meaning(0x800), "BUG or WARN");
  EXPECT_EQ(linux_brk_meaning(0x91f), "KASAN");
  EXPECT_EQ(linux_brk_meaning(0x5512), "UBSAN");
  EXPECT_EQ(linux_brk_meaning(0x83ff), "CFI failure");
  EXPECT_EQ(linux_brk_meaning(0x8400), "");
  EXPECT_EQ(linux_brk_meaning(0x1234), "");
  EXPECT_EQ(text(0xf2000800), "BRK #0x800 (Linux: BUG or WARN)");
}

TEST(Esr, ReadsOnlyThreeFieldsOfNisv) {
  // Bits that KVM does not keep, set: they must not be read as EC, IL, ISV or a register.
  const Esr esr = decode_arm_nisv(0xfffffffffffffe46);
  EXPECT_FALSE(esr.has_class);
  ASSERT_EQ(esr.field_count, 3);
  EXPECT_EQ(esr.value_of("cm"), 0u);
  EXPECT_EQ(esr.value_of("wnr"), 1u);
  EXPECT_EQ(esr.value_of("dfsc"), 6u);
  EXPECT_EQ(esr_text(esr),
            "data abort without a valid instruction syndrome, translation fault level 2, write");
}

TEST(Esr, NamesLdst64bInstructionAndRegister) {
  const Esr esr = decode_arm_ldst64b(4ull << 32 | 0x92000000 | 2u << 11);
  EXPECT_EQ(esr.ec_name, "DABT_LOW");
  EXPECT_EQ(esr.find("dfsc"), nullptr);
  EXPECT_EQ(esr_text(esr), "LD64B or ST64B of 64 bytes, first register x4");
}

TEST(Esr, ReadsSeaByItsClass) {
  EXPECT_EQ(esr_text(decode_arm_sea(0x92000050)),
            "data abort from a lower EL, synchronous external abort, write");
  EXPECT_EQ(esr_text(decode_arm_sea(0x92001010)),
            "data abort from a lower EL, synchronous external abort, uncontainable (UC), read");
  const Esr fetch = decode_arm_sea(0x82000010);
  EXPECT_EQ(fetch.find("wnr"), nullptr);
  EXPECT_EQ(fetch.find("ifsc")->value, 0x10u);
}

TEST(Esr, HasEveryClassOfTheKernelHeader) {
  for (const HeaderConstant& row : header_constants("esr_ec.csv")) {
    if (row.name == "MAX") continue;  // the mask, not a class
    EXPECT_EQ(decode_esr(row.value << 26, false).ec_name, row.name);
  }
}

TEST(EsrTables, KeepFieldsInsideIssAndIss2) {
  for (const EsrClass& row : all_esr_classes()) {
    for (const EsrBits& bits : row.bits) {
      EXPECT_GE(bits.high, bits.low) << row.name << '.' << bits.name;
      EXPECT_TRUE(bits.high <= 24 || (bits.low >= 32 && bits.high <= 55))
          << row.name << '.' << bits.name;
      EXPECT_EQ(bits.when_value & ~bits.when_mask, 0u) << row.name << '.' << bits.name;
      for (const NamedValue& value : bits.names)
        EXPECT_EQ(value.value >> (bits.high - bits.low + 1), 0u) << row.name << '.' << bits.name;
    }
  }
}

TEST(EsrProperty, AnyValueDecodesWithoutRepeatingAFieldOrReadingWhatIsNotBelieved) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    const uint64_t value = random();
    const Esr whole = decode_esr(value, true);
    ASSERT_LT(whole.field_count, kEsrFieldsMax) << std::hex << value;
    std::set<std::string_view> names;
    for (const EsrField& field : whole.all_fields())
      ASSERT_TRUE(names.insert(field.name).second) << field.name << std::hex << value;
    ASSERT_FALSE(esr_text(whole).empty()) << std::hex << value;
    ASSERT_FALSE(esr_text(decode_arm_nisv(value)).empty());
    ASSERT_FALSE(esr_text(decode_arm_ldst64b(value)).empty());
    ASSERT_FALSE(esr_text(decode_arm_sea(value)).empty());
    // The high word changes nothing when it is not believed.
    ASSERT_EQ(esr_text(decode_esr(value, false)), esr_text(decode_esr(value & 0xffffffff, false)));
  }
}

}  // namespace
}  // namespace kvmtape
