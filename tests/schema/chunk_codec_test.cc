#include "schema/chunk_codec.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <random>

#include "recorder/import/moment_writer.h"
#include "schema/file_order.h"

namespace kvmtape::testing {
namespace {

constexpr ColumnId kLastColumn = ColumnId::kSide;

// What a walk must hand out for one record.
struct Expected {
  bool is_exit = false;
  uint64_t seq = 0;
  uint64_t tsc = 0, answer_tsc = 0;
  int32_t ret = 0;
  bool has_answer = false;
  std::vector<uint8_t> kvm_run, data, answer_kvm_run, answer_data;
  std::vector<uint64_t> record;  // of a side record, header included
  bool operator==(const Expected&) const = default;
};

// Random records of every kind, and beside them what they mean.
class RandomStream {
 public:
  RandomStream(uint32_t seed, uint32_t core_words) : random_(seed), core_words_(core_words) {
    image_.resize(core_words + kSyncWords);
  }

  std::vector<uint64_t> words;
  std::vector<Expected> expected;

  void add() {
    switch (random_() % 12) {
      case 0:
        return add_gap();
      case 1:
        return add_side(RecordKind::kRepeat, {next_seq_, advance(random_() % 5), 1, 2, 3, 4});
      case 2:
        return add_side(RecordKind::kMark, {random_(), random_()});
      case 3:
        return add_side(static_cast<RecordKind>(100 + random_() % 100), {1, 2, 3});
      default:
        return add_exit();
    }
  }

 private:
  uint64_t advance(uint64_t count) {
    next_seq_ += count;
    return count;
  }
  uint64_t later() {
    const uint64_t step = random_() % 50 == 0 ? random_() << 20 : random_() % 100'000;
    return tsc_ += step + 1;
  }

  void add_side(RecordKind kind, std::vector<uint64_t> payload) {
    std::vector<uint64_t> record{(kRecordHeaderWords + payload.size()) |
                                     uint64_t{static_cast<uint8_t>(kind)} << 16 |
                                     uint64_t{random_() % 200} << 32,
                                 later()};
    record.insert(record.end(), payload.begin(), payload.end());
    words.insert(words.end(), record.begin(), record.end());
    Expected& to = expected.emplace_back();
    to.record = record;
    to.tsc = record[1];
  }
  void add_gap() {
    const uint64_t lost = 1 + random_() % 9;
    lost_total_ += lost;
    const uint64_t first = next_seq_;
    next_seq_ += lost;
    add_side(RecordKind::kGap, {first, lost, lost_total_, 1});
    auto& record = expected.back().record;
    record[0] = words[words.size() - record.size()] &= 0xffffffff;  // a gap returns nothing
  }

  std::vector<uint8_t> image_bytes(bool with_sync) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(image_.data());
    return {bytes, bytes + (core_words_ + (with_sync ? kSyncWords : 0)) * kWordBytes};
  }

  void add_moment(RecordKind kind, int32_t ret, uint64_t tsc, bool with_sync,
                  const std::vector<uint8_t>& data, bool same) {
    const bool keyframe = words.empty() || random_() % 40 == 0;
    uint64_t mask = 0;
    for (uint32_t i = 0; i < core_words_; ++i)
      if (keyframe || random_() % 8 == 0) {
        mask |= uint64_t{1} << i;
        image_[i] = random_() % 3 == 0 ? random_() | uint64_t{random_()} << 32 : image_[i];
      }
    const size_t at = words.size();
    words.insert(words.end(), {0, tsc, mask | uint64_t{data.size()} << kDataBytesShift});
    for (uint32_t i = 0; i < core_words_; ++i)
      if ((mask >> i & 1) != 0) words.push_back(image_[i]);
    if (with_sync) {
      std::array<uint64_t, kSyncMasks> masks{};
      for (uint32_t i = 0; i < kSyncWords; ++i)
        if (random_() % 4 == 0) {
          masks[i / 64] |= uint64_t{1} << i % 64;
          image_[core_words_ + i] = random_();
        }
      words.insert(words.end(), masks.begin(), masks.end());
      for (uint32_t i = 0; i < kSyncWords; ++i)
        if ((masks[i / 64] >> i % 64 & 1) != 0) words.push_back(image_[core_words_ + i]);
    }
    if (!same)
      for (size_t i = 0; i < data.size(); i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, &data[i], std::min<size_t>(8, data.size() - i));
        words.push_back(word);
      }
    const uint64_t flags = (with_sync ? kRecordHasSync : 0) | (same ? kRecordDataSame : 0);
    words[at] = (words.size() - at) | uint64_t{static_cast<uint8_t>(kind)} << 16 | flags << 24 |
                uint64_t{static_cast<uint32_t>(ret)} << 32;
  }

  void add_exit() {
    Expected exit;
    exit.is_exit = true;
    exit.seq = next_seq_++;
    exit.tsc = later();
    exit.ret = random_() % 10 == 0 ? -static_cast<int32_t>(random_() % 134) : 0;
    const bool with_sync = random_() % 20 == 0;
    exit.data.resize(random_() % 4 == 0 ? random_() % 100 : 0);
    for (uint8_t& byte : exit.data) byte = static_cast<uint8_t>(random_());
    add_moment(RecordKind::kExit, exit.ret, exit.tsc, with_sync, exit.data, false);
    exit.kvm_run = image_bytes(with_sync);
    exit.has_answer = random_() % 10 != 0;
    if (exit.has_answer) {
      exit.answer_tsc = later();
      const bool answer_sync = random_() % 20 == 0;
      const bool same = random_() % 2 == 0;
      exit.answer_data = exit.data;
      if (!same)
        for (uint8_t& byte : exit.answer_data) byte = static_cast<uint8_t>(random_());
      add_moment(RecordKind::kAnswer, 0, exit.answer_tsc, answer_sync, exit.answer_data, same);
      exit.answer_kvm_run = image_bytes(answer_sync);
    }
    expected.push_back(std::move(exit));
  }

  std::mt19937 random_;
  uint32_t core_words_;
  std::vector<uint64_t> image_;
  uint64_t tsc_ = 1000;
  uint64_t next_seq_ = 0;
  uint64_t lost_total_ = 0;
};

std::vector<std::vector<uint8_t>> chunks_of(std::span<const uint64_t> words,
                                            Architecture architecture) {
  ChunkEncoder encoder({3, 4, architecture, ByteOrder::kLittle});
  std::vector<std::vector<uint8_t>> chunks;
  // Fed piecemeal, as a drain does.
  size_t fed = 0, known = 0;
  while (fed < words.size()) {
    for (const size_t enough = known + 700; known < words.size() && known < enough;)
      known += words[known] & 0xffff;
    fed += encoder.add(words.subspan(fed, known - fed), known == words.size());
    if (encoder.exits() <= 500 && known < words.size()) continue;
    encoder.set_haste(chunks.size() % 2 == 1);  // which no reader notices
    encoder.finish({}, chunks.emplace_back());
  }
  return chunks;
}

std::vector<Expected> walked(const std::vector<std::vector<uint8_t>>& chunks) {
  std::vector<Expected> items;
  ChunkDecoder decoder;
  for (const auto& chunk : chunks) {
    if (chunk.empty()) continue;
    EXPECT_TRUE(check_chunk(chunk, 0));
    EXPECT_TRUE(decoder.open(chunk));
    EXPECT_TRUE(decoder.begin());
    for (;;) {
      const auto item = decoder.next();
      if (item == ChunkDecoder::Item::kEnd) break;
      if (item == ChunkDecoder::Item::kCorrupt) {
        ADD_FAILURE() << decoder.error().message;
        break;
      }
      Expected& to = items.emplace_back();
      if (item == ChunkDecoder::Item::kSide) {
        const SideRecord& side = decoder.side();
        to.tsc = side.tsc;
        to.record = {(kRecordHeaderWords + side.payload.size() / 8) |
                         uint64_t{static_cast<uint8_t>(side.kind)} << 16 |
                         uint64_t{side.flags} << 24 |
                         uint64_t{static_cast<uint32_t>(side.ret)} << 32,
                     side.tsc};
        for (size_t i = 0; i < side.payload.size(); i += 8)
          to.record.push_back(load_le<uint64_t>(&side.payload[i]));
        continue;
      }
      const RecordedExit& exit = decoder.exit();
      auto copy = [](std::span<const uint8_t> bytes) {
        return std::vector<uint8_t>(bytes.begin(), bytes.end());
      };
      to = {true,
            exit.seq,
            exit.tsc,
            exit.answer_tsc,
            exit.ret,
            exit.has_answer,
            copy(exit.kvm_run),
            copy(exit.data),
            copy(exit.answer_kvm_run),
            copy(exit.answer_data),
            {}};
    }
  }
  return items;
}

class ChunkCodec : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ChunkCodec, random_records_of_every_kind_come_back) {
  const auto architecture = GetParam() % 4 == 0 ? Architecture::kS390x : Architecture::kX86_64;
  RandomStream stream(GetParam(), core_words_of(architecture));
  for (int i = 0; i < 2500; ++i) stream.add();
  const auto found = walked(chunks_of(stream.words, architecture));
  ASSERT_EQ(found.size(), stream.expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], stream.expected[i]) << i;
}

TEST_P(ChunkCodec, what_was_decoded_encodes_to_the_same_bytes) {
  std::mt19937 random(GetParam());
  std::vector<uint64_t> words;
  MomentWriter writer;
  std::array<uint8_t, 288> image{};
  uint64_t tsc = 5;
  for (int i = 0; i < 3000; ++i) {
    image[random() % image.size()] = static_cast<uint8_t>(random());
    writer.append(i % 2 == 1, 0, tsc += random() % 1000, image, {}, words);
  }
  const auto first = chunks_of(words, Architecture::kX86_64);
  std::vector<uint64_t> again;
  MomentWriter second;
  for (const Expected& exit : walked(first)) {
    second.append(false, exit.ret, exit.tsc, exit.kvm_run, exit.data, again);
    if (exit.has_answer)
      second.append(true, 0, exit.answer_tsc, exit.answer_kvm_run, exit.answer_data, again);
  }
  EXPECT_EQ(again, words);
  EXPECT_EQ(chunks_of(again, Architecture::kX86_64), first);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ChunkCodec, ::testing::Range(0u, 12u));

// A chunk whose checksum holds and whose bytes lie: what a hostile file would hold.
std::vector<uint8_t> resealed(std::vector<uint8_t> chunk) {
  auto header = load_file_struct<ChunkHeader>(chunk.data());
  std::vector<uint8_t> out;
  append_chunk(header, std::span(chunk).subspan(sizeof header), out);
  return out;
}

TEST(ChunkCodecDamage, wrong_bytes_under_a_right_checksum_never_crash_the_decoder) {
  RandomStream stream(1, kCoreWords);
  for (int i = 0; i < 60; ++i) stream.add();
  const auto chunk = chunks_of(stream.words, Architecture::kX86_64).back();
  std::mt19937 random(5);
  ChunkDecoder decoder;
  uint64_t walked_to_the_end = 0;
  for (size_t at = sizeof(ChunkHeader); at < chunk.size(); ++at) {
    auto bad = chunk;
    bad[at] ^= static_cast<uint8_t>(1 + random() % 255);
    bad = resealed(bad);
    if (!decoder.open(bad)) continue;
    (void)decoder.summarize();
    if (!decoder.begin()) continue;
    ChunkDecoder::Item item;
    size_t items = 0;
    do item = decoder.next();
    while (++items < 1000 && item != ChunkDecoder::Item::kEnd &&
           item != ChunkDecoder::Item::kCorrupt);
    ASSERT_LT(items, 1000u) << at;
    walked_to_the_end += item == ChunkDecoder::Item::kEnd;
  }
  EXPECT_GT(walked_to_the_end, 0u) << "payload bytes may be anything";
}

TEST(ChunkCodecDamage, a_header_that_promises_too_much_is_refused) {
  RandomStream stream(1, kCoreWords);
  for (int i = 0; i < 60; ++i) stream.add();
  auto chunk = chunks_of(stream.words, Architecture::kX86_64).back();
  auto header = load_file_struct<ChunkHeader>(chunk.data());
  header.exits = kChunkExitsMax + 1;
  std::ranges::copy(file_bytes_of(header), chunk.begin());
  ChunkDecoder decoder;
  EXPECT_FALSE(decoder.open(resealed(chunk)));
  header.exits = 10'000;
  std::ranges::copy(file_bytes_of(header), chunk.begin());
  const auto longer = resealed(chunk);
  EXPECT_FALSE(decoder.open(longer) && decoder.begin()) << "columns are shorter";
  static_assert(static_cast<int>(kLastColumn) == 21);
}

}  // namespace
}  // namespace kvmtape::testing
