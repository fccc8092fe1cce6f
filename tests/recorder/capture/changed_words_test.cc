#include "recorder/capture/changed_words.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace kvmtape {
namespace {

TEST(ChangedWords, EveryFunctionOfThisCpuFindsWhatThePortableOneFinds) {
  std::mt19937_64 random(6);
  for (uint32_t choice = 0; changed_words_choice(choice) != nullptr; ++choice) {
    const ChangedWordsFunction function = changed_words_choice(choice);
    for (int round = 0; round < 20'000; ++round) {
      const auto count = static_cast<uint32_t>(random() % 65);
      std::array<uint64_t, 72> now, shadow, portable_shadow;
      for (uint64_t& word : shadow) word = random();
      portable_shadow = now = shadow;
      // One changed bit, or all of a word; now and then many words.
      for (uint64_t changes = random() % (random() % 8 == 0 ? 72 : 4); changes > 0; --changes)
        now[random() % 72] ^= random() % 2 == 0 ? uint64_t{1} << random() % 64 : random();
      const uint64_t expected =
          detail::changed_words_portable(now.data(), portable_shadow.data(), count);
      ASSERT_EQ(function(now.data(), shadow.data(), count), expected) << choice << ' ' << count;
      ASSERT_EQ(shadow, portable_shadow) << "nothing behind the words compared may change";
      for (uint32_t i = 0; i < count; ++i) ASSERT_EQ(shadow[i], now[i]);
    }
  }
}

TEST(ChangedWords, ThePortableOneSetsABitForEachWordThatDiffers) {
  std::array<uint64_t, 64> now{}, shadow{};
  now[0] = now[5] = now[63] = 1;
  EXPECT_EQ(detail::changed_words_portable(now.data(), shadow.data(), 64),
            uint64_t{1} | uint64_t{1} << 5 | uint64_t{1} << 63);
  EXPECT_EQ(detail::changed_words_portable(now.data(), shadow.data(), 64), 0u);
}

TEST(ChangedWords, ThePortableOneIsTheLastChoice) {
  uint32_t last = 0;
  while (changed_words_choice(last + 1) != nullptr) ++last;
  EXPECT_EQ(changed_words_choice(last), detail::changed_words_portable);
}

}  // namespace
}  // namespace kvmtape
