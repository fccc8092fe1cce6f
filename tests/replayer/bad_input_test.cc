// Bytes that no kernel wrote: decoded as far as they go, and never more.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <vector>

#include "replayer/struct_decoder.h"
#include "schema/abi/registry.h"
#include "tests/support/architectures.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;
using testing::shown;

// What a trace may claim to be of.
constexpr auto kArchitectures = [] {
  std::array<Architecture, testing::kArchitectures.size() + 1> all{Architecture::kUnknown};
  std::ranges::copy(testing::kArchitectures, all.begin() + 1);
  return all;
}();

void expect_well_formed(const Exit& exit, const RawMoment& moment) {
  ASSERT_LE(exit.field_count, kExitFieldsMax);
  for (const Field& field : exit.all_fields()) {
    EXPECT_FALSE(field.name.empty());
    EXPECT_EQ(field.validity == Validity::kValid, field.why.empty()) << field.name;
    EXPECT_EQ(raw_bytes(field, moment).size(), field.bytes) << field.name;
    EXPECT_TRUE(field.validity == Validity::kValid || field.value == 0) << field.name;
  }
}

TEST(BadInput, ShortPagesAreDecodedAsFarAsTheyGo) {
  for (Architecture architecture : kArchitectures) {
    for (size_t bytes = 0; bytes < 320; ++bytes) {
      KvmRunPage page(context_of(architecture, "6.12"));
      page.reason(6).cut_to(bytes);
      expect_well_formed(page.decoded(), page.moment());
    }
  }
  KvmRunPage page(context_of(Architecture::kX86_64, "6.12"));
  page.reason(6).in_union(0, uint64_t{0x1000}).cut_to(44);
  EXPECT_EQ(shown(page.decoded(), "mmio.phys_addr"), "valid 0x1000");
  EXPECT_EQ(shown(page.decoded(), "mmio.len"), "unknown");
  EXPECT_EQ(
      KvmRunPage(context_of(Architecture::kX86_64, "6.12")).cut_to(8).decoded().reason_validity,
      Validity::kUnknown);
}

TEST(BadInput, AnUnknownReasonHasNoNameAndNoFieldsOfTheUnion) {
  KvmRunPage page(context_of(Architecture::kAarch64, "7.3"));
  const Exit exit = page.reason(44).decoded();
  EXPECT_EQ(exit.reason, 44u);
  EXPECT_TRUE(exit.name.empty());
  EXPECT_EQ(exit.field_count, 1);  // immediate_exit
}

TEST(BadInput, AnExitThatCameAfterTheNamedKernelIsUnknown) {
  KvmRunPage page(context_of(Architecture::kX86_64, "6.1"));
  page.reason(39).in_union(0, uint64_t{8});
  EXPECT_EQ(shown(page.decoded(), "memory_fault.flags"), "unknown");
}

TEST(BadInput, AnUnknownArchitectureIsBelievedInNothingButTheReason) {
  for (const auto unknown : {Architecture::kUnknown, Architecture{9}, Architecture{3329}}) {
    KvmRunPage page(context_of(unknown, "6.1"));
    const Exit exit = page.reason(6).decoded();
    EXPECT_EQ(exit.name, "KVM_EXIT_MMIO");
    EXPECT_EQ(exit.flags_validity, Validity::kUnknown);
    EXPECT_EQ(abi::mask_of(unknown) & abi::mask_of(Architecture::kX86_64), 0);
  }
}

// Only the undefined behaviour sanitizer saw the negation of it.
TEST(BadInput, AReturnCodeThatHasNoPositiveNumberIsAFailure) {
  for (Architecture architecture : kArchitectures) {
    const ExitDecoder decoder(context_of(architecture, "6.12"));
    const std::vector<uint8_t> page(288, 0x11);
    RawMoment moment;
    moment.kvm_run = page;
    moment.ret = std::numeric_limits<int32_t>::min();
    Exit exit;
    decoder.decode(moment, exit);
    expect_well_formed(exit, moment);
  }
}

TEST(BadInput, RandomBytesNeverBreakAnInvariant) {
  std::mt19937 random(20261121);  // the same bytes on every run
  const std::string_view kernels[] = {"4.6", "5.10", "5.18-rc3", "6.1.33", "7.3", "unknown"};
  for (Architecture architecture : kArchitectures) {
    for (std::string_view kernel : kernels) {
      for (ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
        const DecodeContext context = context_of(architecture, kernel, order);
        const ExitDecoder decoder(context);
        std::vector<uint8_t> bytes(2368);
        std::vector<uint8_t> data(16);
        Exit exit;
        for (uint8_t reason = 0; reason < 46; ++reason) {
          for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
          for (size_t i = 8; i < 12; ++i) bytes[i] = 0;
          bytes[order == ByteOrder::kLittle ? 8 : 11] = reason;
          RawMoment moment{.kvm_run = bytes, .data = data};
          moment.is_answer = (random() & 1) != 0;
          moment.ret = (random() & 1) != 0 ? 0 : -static_cast<int32_t>(random() % 140);
          decoder.decode(moment, exit);
          expect_well_formed(exit, moment);
          EXPECT_LT(exit_text(context, moment, exit).size(), 4096u);
          for (const Field& field : decode_sync_regs(context, moment))
            EXPECT_EQ(raw_bytes(field, moment).size(), field.bytes);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvmtape
