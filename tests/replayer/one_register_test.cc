#include "replayer/one_register.h"

#include <gtest/gtest.h>

#include "tests/support/arm64_registers.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::kMdccint;
using testing::kOslsr;

constexpr uint64_t kDfr0 = 0x603000000013c028, kX30 = 0x603000000010003c;

OneRegisterValue decoded(std::string_view kernel, uint64_t id, uint64_t value) {
  return decode_one_register(testing::context_of(Architecture::kAarch64, kernel), id, value);
}

TEST(OneRegister, IdsHaveTheNamesOfTheArchitecture) {
  EXPECT_EQ(decoded("6.12", kX30, 0).name, "X30");
  EXPECT_EQ(decoded("6.12", 0x603000000013807f, 0).name, "DBGWCR15_EL1");
  EXPECT_EQ(decoded("6.12", 0x603000000013df02, 0).name, "CNTV_CVAL_EL0");
  EXPECT_EQ(decoded("6.12", 0x6030000000139999, 0).name, "");
}

TEST(OneRegister, TheOsLockCameWith518) {
  EXPECT_EQ(decoded("5.18", kOslsr, 8).value, 8u);
  EXPECT_EQ(decoded("5.10", kOslsr, 8).validity, Validity::kUnknown);
}

TEST(OneRegister, AMdccintThatMayBeAPointerIsNotShown) {
  for (std::string_view kernel : {"5.10.218", "5.18", "unknown"}) {
    const OneRegisterValue shown = decoded(kernel, kMdccint, 0xffff800011223344);
    EXPECT_EQ(shown.validity, Validity::kUnknown);
    EXPECT_EQ(shown.value, 0u);
  }
  EXPECT_EQ(decoded("6.1", kMdccint, 1u << 30).value, 1u << 30);
  EXPECT_EQ(decoded("7.2", kMdccint, 0xffff800011223344).validity, Validity::kUnknown);
}

TEST(OneRegister, DebugVerSaysWhoseItIs) {
  EXPECT_NE(decoded("6.1", kDfr0, 6).note.find("limited to 6"), std::string_view::npos);
  EXPECT_NE(decoded("6.12", kDfr0, 8).note.find("limited to 8"), std::string_view::npos);
  EXPECT_NE(decoded("5.10", kDfr0, 8).note.find("hardware"), std::string_view::npos);
}

}  // namespace
}  // namespace kvmtape
