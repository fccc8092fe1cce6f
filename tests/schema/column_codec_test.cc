#include "schema/column_codec.h"

#include <gmock/gmock.h>

#include <random>

namespace kvmtape::testing {
namespace {

std::vector<uint32_t> numbers_below(uint32_t limit, size_t count) {
  std::mt19937 random(limit);
  std::vector<uint32_t> numbers(count);
  for (uint32_t& number : numbers)
    number = limit == 0 ? 0 : static_cast<uint32_t>(random() % limit);
  return numbers;
}

TEST(ColumnCodec, narrow_numbers_come_back_in_the_fewest_bytes) {
  for (const auto& [limit, width] :
       {std::pair{0u, 0u}, {256u, 1u}, {65536u, 2u}, {0xffffffffu, 4u}}) {
    const auto numbers = numbers_below(limit, 500);
    std::vector<uint8_t> bytes;
    encode_narrow(numbers, bytes);
    EXPECT_EQ(bytes.size(), numbers.size() * width);
    std::vector<uint32_t> decoded;
    EXPECT_TRUE(decode_narrow(bytes, numbers.size(), decoded));
    EXPECT_EQ(decoded, numbers);
  }
}

TEST(ColumnCodec, a_narrow_column_of_another_length_is_refused) {
  std::vector<uint32_t> decoded;
  for (const size_t bytes : {1u, 9u, 11u, 19u, 30u, 39u, 80u})
    EXPECT_FALSE(decode_narrow(std::vector<uint8_t>(bytes), 10, decoded)) << bytes;
}

TEST(ColumnCodec, planes_put_together_are_the_numbers) {
  for (const uint32_t limit : {0u, 200u, 70'000u, 0xffffffffu}) {
    const auto numbers = numbers_below(limit, 300);
    std::vector<uint32_t> decoded(numbers.size());
    for (uint32_t plane = 0; plane < 4; ++plane) {
      std::vector<uint8_t> bytes;
      encode_plane(numbers, plane, bytes);
      EXPECT_TRUE(decode_plane(bytes, plane, decoded));
      EXPECT_FALSE(decode_plane(std::vector<uint8_t>(299), plane, decoded));
    }
    EXPECT_EQ(decoded, numbers);
  }
}

TEST(ColumnCodec, transposed_words_and_frames_come_back) {
  std::mt19937_64 random(3);
  std::vector<uint64_t> words(333), decoded(333);
  for (uint64_t& word : words) word = random() >> (random() % 60);
  std::vector<uint8_t> raw, frame;
  encode_transposed(words, raw);
  decode_transposed(raw, decoded);
  EXPECT_EQ(decoded, words);

  Compressor compressor;
  Decompressor decompressor;
  raw.resize(raw.size() + 1000);  // zeros, so that it compresses
  compressor.encode_frame(raw, frame);
  ASSERT_FALSE(frame.empty());
  std::vector<uint8_t> back(raw.size());
  EXPECT_TRUE(decompressor.decode_frame(frame, back));
  EXPECT_EQ(back, raw);
  back.resize(raw.size() - 1);
  EXPECT_FALSE(decompressor.decode_frame(frame, back)) << "it holds more";
  back.resize(raw.size() + 1);
  EXPECT_FALSE(decompressor.decode_frame(frame, back)) << "it holds less";
}

TEST(ColumnCodec, a_frame_made_in_haste_is_larger_and_comes_back) {
  std::mt19937_64 random(4);
  std::vector<uint8_t> raw(10'000);
  for (uint8_t& byte : raw) byte = random() % 8 == 0 ? static_cast<uint8_t>(random() % 16) : 7;
  Compressor compressor;
  std::vector<uint8_t> usual, hasty, again;
  compressor.encode_frame(raw, usual);
  compressor.set_haste(true);
  compressor.encode_frame(raw, hasty);
  compressor.set_haste(false);
  compressor.encode_frame(raw, again);
  EXPECT_GT(hasty.size(), usual.size());
  EXPECT_EQ(again, usual);
  std::vector<uint8_t> back(raw.size());
  EXPECT_TRUE(Decompressor().decode_frame(hasty, back));
  EXPECT_EQ(back, raw);
}

}  // namespace
}  // namespace kvmtape::testing
