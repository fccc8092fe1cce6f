// What DecodedBytes leaves of an exit says what all of it says.
#include "analysis/diff/decoded_bytes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "analysis/decoded_exit.h"
#include "tests/support/architectures.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape::testing {
namespace {

class DecodedBytesTest : public ::testing::TestWithParam<Architecture> {
 protected:
  // Bytes as they come, and a reason that says how they are read.
  std::vector<uint8_t> page_of(uint32_t reason, ByteOrder order) {
    std::vector<uint8_t> page(kRunWordsMax * kWordBytes);
    for (uint8_t& byte : page) byte = static_cast<uint8_t>(random_() >> (random_() % 8));
    const uint32_t stored = order == kHostByteOrder ? reason : byte_swapped(reason);
    std::memcpy(&page[8], &stored, sizeof stored);
    return page;
  }
  static std::string all_of(const Exit& exit, const RawMoment& moment) {
    std::string all = std::to_string(static_cast<int>(exit.reason_validity)) + ' ' +
                      std::to_string(static_cast<int>(exit.flags_validity)) + ' ' +
                      std::to_string(exit.flags) + ' ' + std::to_string(exit.esr);
    for (const Field& field : exit.all_fields()) {
      all += '\n' + std::string(field.name) + ' ' + std::to_string(field.element) + ' ' +
             to_string(field.validity).data() + ' ' + std::to_string(field.value) + ' ' +
             std::string(field.value_name) + ' ' + std::string(field.why) + ' ';
      for (const uint8_t byte : raw_bytes(field, moment)) all += std::to_string(byte) + ',';
    }
    return all;
  }

  std::mt19937_64 random_{42};
};

TEST_P(DecodedBytesTest, SayAllThatTheWholePageSays) {
  const DecodedBytes decoded_bytes(GetParam());
  const std::vector<uint8_t> data = {1, 2, 3, 4};
  for (const char* kernel : {"unknown", "5.10", "6.18"})
    for (const ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
      const ExitDecoder decoder(context_of(GetParam(), kernel, order));
      for (uint32_t reason = 0; reason < 70; ++reason)
        for (int round = 0; round < 4; ++round) {
          const auto page = page_of(reason, order);
          const auto answer = page_of(round % 2 == 0 ? reason : reason + 1, order);
          RecordedExit whole;
          whole.reason = reason;
          whole.ret = round == 3 ? -4 : 0;
          whole.reason_is_new = round == 1;
          whole.kvm_run = page;
          whole.data = whole.answer_data = data;
          whole.has_answer = true;
          whole.answer_kvm_run = answer;
          RecordedExit cut = whole;
          cut.kvm_run = decoded_bytes.of_exit(whole);
          cut.answer_kvm_run = decoded_bytes.of_answer(cut);
          ASSERT_LT(cut.kvm_run.size(), page.size());
          DecodedExit of_whole, of_cut;
          decode_both(decoder, whole, of_whole);
          decode_both(decoder, cut, of_cut);
          const std::string where = std::string(kernel) + " reason " + std::to_string(reason);
          ASSERT_EQ(all_of(of_cut.exit, of_cut.moment), all_of(of_whole.exit, of_whole.moment))
              << where;
          ASSERT_EQ(all_of(of_cut.answer, of_cut.answer_moment),
                    all_of(of_whole.answer, of_whole.answer_moment))
              << where;
          ASSERT_EQ(text_of(decoder, of_cut), text_of(decoder, of_whole)) << where;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Architectures, DecodedBytesTest, ::testing::ValuesIn(kArchitectures),
                         architecture_suffix);

TEST(DecodedBytesOfPortsTest, AreNoMoreThanTheirMember) {
  RecordedExit exit;
  const std::vector<uint8_t> page(kCoreWords * kWordBytes);
  exit.kvm_run = page;
  exit.reason = 2;                                                                 // KVM_EXIT_IO
  EXPECT_EQ(DecodedBytes(Architecture::kX86_64).of_exit(exit).size(), 32u + 16u);  // sizeof io
  exit.reason = 6;                                                                 // KVM_EXIT_MMIO
  EXPECT_EQ(DecodedBytes(Architecture::kX86_64).of_exit(exit).size(), 32u + 24u);
  EXPECT_EQ(DecodedBytes(Architecture::kMips64).of_exit(exit).size(), 32u + 24u);
  exit.reason = 17;  // KVM_EXIT_INTERNAL_ERROR: as much as it has
  EXPECT_EQ(DecodedBytes(Architecture::kX86_64).of_exit(exit).size(), page.size());
}

}  // namespace
}  // namespace kvmtape::testing
