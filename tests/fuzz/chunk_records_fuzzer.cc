// Arbitrary records into ChunkEncoder; what the chunks hand back must be what record_model.h keeps.
//
//   u8 setup (bit 0 s390, bit 1 big-endian) | steps: u8, and what it asks for
//   0x80 to 0xff: that many less 0x80 words, a record or not
//   else by the low three bits: a well-formed record of some kind, or the end of a chunk
#include <bit>
#include <cstring>

#include "schema/base/check.h"
#include "schema/chunk_codec.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/record_model.h"

namespace kvmtape::fuzz {
namespace {

enum Step : uint8_t { kExit, kAnswer, kEntry, kSide, kGap, kBlockStart, kChunkEnd, kFlushAll };

// A word that compresses badly from one byte of input; 0 stays 0.
uint64_t word_of(uint8_t byte) { return byte * 0x9e3779b97f4a7c15u; }

void append_header(RecordKind kind, uint8_t flags, int32_t ret, uint64_t tsc, size_t words,
                   std::vector<uint64_t>& out) {
  out.push_back(words | uint64_t{static_cast<uint8_t>(kind)} << 16 | uint64_t{flags} << 24 |
                uint64_t{static_cast<uint32_t>(ret)} << 32);
  out.push_back(tsc);
}

// u8 flags (bits 0 to 2 the record's, 3: u64 tsc, 4: i32 ret, 5: u16 data bytes) | tsc or u8 more
// than before | ret or i8 | data bytes or u8 | u8 words (bit 7: all) | that many u8 | sync alike
void append_moment(RecordKind kind, uint32_t core_words, ByteCursor& input, uint64_t& tsc,
                   std::vector<uint64_t>& out) {
  const auto how = input.read<uint8_t>();
  const auto flags = static_cast<uint8_t>(how & 7);
  tsc = (how & 8) != 0 ? input.read<uint64_t>() : tsc + input.read<uint8_t>();
  const int32_t ret = (how & 16) != 0 ? static_cast<int32_t>(input.read<uint32_t>())
                                      : static_cast<int8_t>(input.read<uint8_t>());
  const uint32_t data_bytes =
      ((how & 32) != 0 ? input.read<uint16_t>() : input.read<uint8_t>()) % (kDataBytesMax + 1);
  const auto words = input.read<uint8_t>();
  uint64_t mask = (words & 0x80) != 0 ? core_mask_all(core_words) : 0;
  for (int i = 0; i < (words & 0x0f); ++i)
    mask |= uint64_t{1} << input.read<uint8_t>() % core_words;
  std::vector<uint64_t> body{mask | uint64_t{data_bytes} << kDataBytesShift};
  for (int i = 0; i < std::popcount(mask); ++i) body.push_back(word_of(input.read<uint8_t>()));
  if ((flags & kRecordHasSync) != 0) {
    uint64_t masks[kSyncMasks] = {};
    for (int i = input.read<uint8_t>() & 0x0f; i > 0; --i) {
      const uint32_t word = input.read<uint16_t>() % kSyncWords;
      masks[word / 64] |= uint64_t{1} << word % 64;
    }
    body.insert(body.end(), masks, masks + kSyncMasks);
    for (uint64_t sync : masks)
      for (int i = 0; i < std::popcount(sync); ++i) body.push_back(word_of(input.read<uint8_t>()));
  }
  if ((flags & kRecordDataSame) == 0)
    for (uint32_t i = 0; i < data_words(data_bytes); ++i)
      body.push_back(word_of(input.read<uint8_t>()));
  append_header(kind, flags, ret, tsc, kRecordHeaderWords + body.size(), out);
  out.insert(out.end(), body.begin(), body.end());
}

class Recording {
 public:
  Recording(const StreamDescription& stream)
      : stream_(stream), encoder_(stream), model_(core_words_of(stream.architecture)) {}

  std::vector<uint64_t>& pending() { return pending_; }
  bool ended() const { return encoder_.malformed(); }

  void flush(bool final) {
    const size_t took = encoder_.add(pending_, final);
    KVMTAPE_CHECK(took <= pending_.size());
    for (size_t at = 0; at < took; at += pending_[at] & 0xffff)
      model_.add(std::span(pending_).subspan(at, pending_[at] & 0xffff));
    KVMTAPE_CHECK(encoder_.next_seq() == model_.next_seq());
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(took));
  }

  // Writes the chunk, reads it back and compares.
  void end_chunk() {
    const bool empty = encoder_.empty();
    const uint32_t exits = encoder_.exits();
    Bytes chunk;
    const bool written = encoder_.finish({}, chunk);
    KVMTAPE_CHECK(written != empty);
    const auto expected = model_.take();
    KVMTAPE_CHECK(empty == expected.empty());
    if (empty) return;
    const auto header = check_chunk(chunk, 0);
    KVMTAPE_CHECK(header.ok());
    KVMTAPE_CHECK(header->exits == exits);
    KVMTAPE_CHECK(header->end_seq == model_.next_seq() && header->first_seq <= header->end_seq);
    ChunkDecoder decoder;
    KVMTAPE_CHECK(decoder.open(chunk).ok());
    KVMTAPE_CHECK(decoder.stream().byte_order == stream_.byte_order);
    KVMTAPE_CHECK(decoder.begin().ok());
    for (const ModelItem& item : expected) compare(item, decoder);
    KVMTAPE_CHECK(decoder.next() == ChunkDecoder::Item::kEnd);
  }

 private:
  static bool same(std::span<const uint8_t> bytes, const auto& expected) {
    return bytes.size() == expected.size() * sizeof(expected[0]) &&
           (bytes.empty() || std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0);
  }

  static void compare(const ModelItem& expected, ChunkDecoder& decoder) {
    const auto item = decoder.next();
    if (!expected.is_exit) {
      KVMTAPE_CHECK(item == ChunkDecoder::Item::kSide);
      const SideRecord& side = decoder.side();
      KVMTAPE_CHECK(side.kind == expected.kind && side.tsc == expected.tsc);
      KVMTAPE_CHECK(side.next_seq == expected.seq);
      KVMTAPE_CHECK(side.belongs_to_exit == expected.belongs_to_exit);
      KVMTAPE_CHECK(same(side.payload, expected.payload));
      return;
    }
    KVMTAPE_CHECK(item == ChunkDecoder::Item::kExit);
    const RecordedExit& exit = decoder.exit();
    KVMTAPE_CHECK(exit.seq == expected.seq && exit.ret == expected.ret);
    KVMTAPE_CHECK(exit.tsc == expected.exit.tsc);
    KVMTAPE_CHECK(exit.previous_tsc == expected.previous_tsc);
    KVMTAPE_CHECK(same(exit.kvm_run, expected.exit.kvm_run));
    KVMTAPE_CHECK(same(exit.data, expected.exit.data));
    KVMTAPE_CHECK(exit.has_answer == expected.has_answer);
    if (!exit.has_answer) return;
    KVMTAPE_CHECK(exit.answer_tsc == expected.answer.tsc);
    KVMTAPE_CHECK(same(exit.answer_kvm_run, expected.answer.kvm_run));
    KVMTAPE_CHECK(same(exit.answer_data, expected.answer.data));
  }

  StreamDescription stream_;
  ChunkEncoder encoder_;
  RecordModel model_;
  std::vector<uint64_t> pending_;
};

void append_other(Step step, ByteCursor& input, uint64_t& tsc, std::vector<uint64_t>& out) {
  tsc += input.read<uint8_t>();
  if (step == kGap) {
    append_header(RecordKind::kGap, 0, 0, tsc, 6, out);
    for (int i = 0; i < 4; ++i) out.push_back(input.read<uint16_t>());
  } else if (step == kBlockStart) {
    append_header(RecordKind::kBlockStart, 0, 0, tsc, 4, out);
    out.push_back(input.read<uint16_t>());
    out.push_back(0);
  } else {
    const auto kind = static_cast<RecordKind>(input.read<uint8_t>());
    const size_t words = input.read<uint8_t>() & 0x0f;
    append_header(kind, 0, 0, tsc, kRecordHeaderWords + words, out);
    for (size_t i = 0; i < words; ++i) out.push_back(input.read<uint16_t>());
  }
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const auto setup = cursor.read<uint8_t>();
  StreamDescription stream;
  stream.architecture = (setup & 1) != 0 ? Architecture::kS390x : Architecture::kAarch64;
  stream.byte_order = (setup & 2) != 0 ? ByteOrder::kBig : ByteOrder::kLittle;
  const uint32_t core_words = core_words_of(stream.architecture);
  Recording recording(stream);
  uint64_t tsc = 1000;
  while (cursor.ok() && !cursor.at_end() && !recording.ended()) {
    const auto step = cursor.read<uint8_t>();
    if ((step & 0x80) != 0) {
      for (int i = step & 0x7f; i > 0; --i) recording.pending().push_back(cursor.read<uint64_t>());
      continue;
    }
    switch (static_cast<Step>(step & 7)) {
      case kExit:
        append_moment(RecordKind::kExit, core_words, cursor, tsc, recording.pending());
        break;
      case kAnswer:
        append_moment(RecordKind::kAnswer, core_words, cursor, tsc, recording.pending());
        break;
      case kEntry:
        append_moment(RecordKind::kEntry, core_words, cursor, tsc, recording.pending());
        break;
      case kChunkEnd:
        recording.flush(false);
        recording.end_chunk();
        break;
      case kFlushAll:
        recording.flush(true);
        break;
      default:
        append_other(static_cast<Step>(step & 7), cursor, tsc, recording.pending());
    }
  }
  recording.flush(true);
  recording.end_chunk();
}

std::vector<Bytes> seeds() {
  const uint8_t plain[] = {
      0,         kExit, 4,  9,  0,    4,       0x80, 1,  2,       3,        4,  5,    6,
      7,         8,     9,  10, 11,   12,      13,   14, 15,      16,       17, 18,   19,
      20,        21,    22, 23, 24,   25,      26,   27, 28,      29,       30, 31,   32,
      33,        34,    35, 36, 77,   kAnswer, 2,    5,  0,       4,        1,  6,    99,
      kChunkEnd, kExit, 0,  5,  0xf2, 0,       2,    1,  4,       8,        9,  kGap, 1,
      0,         0,     3,  0,  0,    0,       1,    0,  kAnswer, 0,        3,  0,    0,
      0,         kExit, 0,  9,  0,    0,       1,    5,  6,       kFlushAll};
  const uint8_t sync[] = {
      3, kExit, 5, 9, 0, 0,  1,     7,  50,    2, 0, 0, 1, 1, 8, 9,           kAnswer, 1, 9, 0,
      0, 0,     1, 2, 0, 33, kSide, 4,  7,     3, 1, 0, 2, 0, 3, 0,           kEntry,  1, 4, 0,
      0, 1,     3, 3, 1, 9,  0,     44, kExit, 1, 1, 0, 0, 0, 0, kBlockStart, 0,       9, 0, kSide,
      1, 5,     6, 1, 0, 3,  0,     5,  0,     6, 0, 7, 0, 8, 0};
  return {{std::begin(plain), std::end(plain)}, {std::begin(sync), std::end(sync)}};
}

}  // namespace kvmtape::fuzz
