// arm64 registers in words; values as Linux shows them when it dies ("pstate: 60000005 ...").
#include "replayer/arch_names/arm64_registers.h"

#include <gtest/gtest.h>

namespace kvmtape {
namespace {

TEST(Arm64Registers, PstateNamesLevelMasksAndFlags) {
  EXPECT_EQ(pstate_text(0x3c5), "EL1h, DAIF masked, flags nzcv");
  EXPECT_EQ(pstate_text(0x60000005), "EL1h, nothing masked, flags nZCv");
  EXPECT_EQ(pstate_text(0x80), "EL0t, I masked, flags nzcv");
  EXPECT_EQ(pstate_text(0x203c9), "EL2h, DAIF masked, flags nzcv");
  EXPECT_EQ(pstate_text(0x300005), "EL1h, nothing masked, flags nzcv, SS, IL");
  EXPECT_EQ(pstate_text(0x1d3), "AArch32, mode 0x13");
}

TEST(Arm64Registers, SctlrNamesWhatAGuestRunsWith) {
  EXPECT_EQ(sctlr_el1_text(0xc50078),
            "MMU off, data cache off, instruction cache off, little-endian");
  EXPECT_EQ(sctlr_el1_text(1u << 0 | 1u << 2 | 1u << 12 | 1u << 25),
            "MMU on, data cache on, instruction cache on, big-endian");
}

}  // namespace
}  // namespace kvmtape
