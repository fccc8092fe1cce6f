// A ring file of arbitrary content: copied block by block as a drain does, and read together with a
// trace as after a crash. The input describes the file, whose size must fit its header:
//
//   u8 setup (bit 0 overwrite, 1 finished, 2 cut off, 3 of the session; bits 4 and 5 more blocks)
//   u64 open_block | u64 read_block | u32 read_bytes | u64 lost_total | u64 next_seq
//   per block: u64 generation | u32 committed | u64 first_seq | u64 lost_before | u16 bytes, bytes
//   u8 where in the header, u32 what stands there instead, and so on
#include <cstring>
#include <fstream>

#include "schema/base/check.h"
#include "schema/chunk_codec.h"
#include "schema/ring_file.h"
#include "schema/ring_reader.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/scratch_files.h"
#include "tests/fuzz/trace_walk.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::fuzz {
namespace {

constexpr uint32_t kBlockBytes = kBlockBytesMin;
constexpr size_t kRoom = kBlockBytes - sizeof(BlockHeader);

void put_block(Bytes& file, size_t slot, ByteCursor& input) {
  uint8_t* at = file.data() + kRingHeaderBytes + slot * kBlockBytes;
  auto* block = reinterpret_cast<BlockHeader*>(at);
  block->generation = input.read<uint64_t>();
  block->committed = input.read<uint32_t>();
  block->magic = kBlockMagic;
  block->first_seq = input.read<uint64_t>();
  block->lost_before = input.read<uint64_t>();
  const size_t bytes = std::min<size_t>({input.read<uint16_t>(), input.remaining(), kRoom});
  const auto records = input.take(bytes);
  if (!records.empty()) std::memcpy(at + sizeof(BlockHeader), records.data(), records.size());
}

Bytes ring_from(std::span<const uint8_t> bytes, const Uuid& session) {
  ByteCursor input(bytes);
  const auto setup = input.read<uint8_t>();
  const uint32_t blocks = kBlockCountMin + (setup >> 4 & 3);
  Bytes file(kRingHeaderBytes + size_t{blocks} * kBlockBytes);
  auto* header = reinterpret_cast<RingHeader*>(file.data());
  header->magic = kRingMagic;
  header->version = kRingVersion;
  header->header_bytes = kRingHeaderBytes;
  header->session = session;
  header->vcpu_index = (setup & 8) != 0 ? kSessionStream : 0;
  header->block_bytes = kBlockBytes;
  header->block_count = blocks;
  header->core_words = kCoreWords;
  header->overwrite = setup & 1;
  header->finished = setup >> 1 & 1;
  header->open_block = input.read<uint64_t>();
  header->read_block = input.read<uint64_t>();
  header->read_bytes = input.read<uint32_t>();
  header->lost_total = input.read<uint64_t>();
  header->next_seq = input.read<uint64_t>();
  for (size_t slot = 0; slot < blocks && input.ok(); ++slot) put_block(file, slot, input);
  while (input.ok() && input.remaining() >= 5) {
    const size_t at = size_t{input.read<uint8_t>()} * 4 % sizeof(RingHeader);
    store_le(file.data() + at, input.read<uint32_t>());
  }
  if ((setup & 4) != 0) file.resize(file.size() - kBlockBytes / 2);
  return file;
}

void check_chunk_of(ChunkEncoder& encoder) {
  Bytes bytes;
  if (!encoder.finish({}, bytes)) return;
  KVMTAPE_CHECK(check_chunk(bytes, 0).ok());
  ChunkDecoder decoder;
  KVMTAPE_CHECK(decoder.open(bytes).ok());
  KVMTAPE_CHECK(decoder.begin().ok());
  auto item = decoder.next();
  while (item != ChunkDecoder::Item::kEnd) {  // what an encoder took, a decoder reads
    KVMTAPE_CHECK(item != ChunkDecoder::Item::kCorrupt);
    item = decoder.next();
  }
}

void drain(const std::string& path) {
  auto ring = RingFile::open(path, RingFile::Access::kCopy);
  if (!ring) return;
  (void)is_writer_alive(*ring);
  RingReader reader(ring->header());
  ChunkEncoder encoder({0, 0, Architecture::kX86_64, ByteOrder::kLittle});
  const uint32_t polls_max = 2 * reader.block_count() + 2;
  for (uint32_t polls = 0;; ++polls) {
    const RingBatch batch = reader.poll();
    if (batch.words.empty()) break;
    KVMTAPE_CHECK(polls < polls_max);  // nothing is handed out twice
    KVMTAPE_CHECK(batch.words.size() <= reader.batch_words_max());
    touch({reinterpret_cast<const uint8_t*>(batch.words.data()), batch.words.size_bytes()});
    reader.release(batch.end);
    for (std::span<const uint64_t> words = batch.words; !words.empty();) {
      const size_t took = encoder.add(words, true);
      KVMTAPE_CHECK(took != 0 || encoder.malformed() || encoder.full());
      words = words.subspan(took);
      if (encoder.malformed()) break;
      if (encoder.full()) check_chunk_of(encoder);
    }
    if (encoder.malformed()) break;
  }
  check_chunk_of(encoder);
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  static const auto directory = scratch_directory();
  static testing::TraceBuilder trace{directory.string()};
  static MemoryFile trace_file;
  static const bool once = (trace_file.put(trace.bytes()), true);
  (void)once;
  const Bytes ring = ring_from(input, trace.session());
  const std::string path = (directory / "vcpu-0.ring").string();
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(ring.data()), static_cast<std::streamsize>(ring.size()));
  drain(path);
  walk_everything(trace_file.path(), {});
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  for (const int setup : {0x00, 0x01, 0x13, 0x08}) {
    MomentWriter writer;
    InputWriter input;
    input.put(static_cast<uint8_t>(setup)).put<uint64_t>(2).put<uint64_t>(0).put<uint32_t>(0);
    input.put<uint64_t>(0).put<uint64_t>(6);
    for (uint64_t block = 0; block < 3; ++block) {
      std::vector<uint64_t> words;
      if (block == 0 || setup != 0) writer = MomentWriter{};
      for (uint64_t seq = 2 * block; seq < 2 * block + 2; ++seq) {
        const auto data = testing::exit_data(0, seq);
        const uint64_t tsc = testing::exit_tsc(0, seq);
        writer.append(false, 0, tsc, testing::exit_image(0, seq), data, words);
        writer.append(true, 0, tsc + 40, testing::answer_image(0, seq), data, words);
      }
      input.put<uint64_t>(block + 1).put(static_cast<uint32_t>(words.size() * kWordBytes));
      input.put<uint64_t>(2 * block).put<uint64_t>(0);
      input.put(static_cast<uint16_t>(words.size() * kWordBytes));
      input.put_bytes({reinterpret_cast<const uint8_t*>(words.data()), words.size() * kWordBytes});
    }
    inputs.push_back(input.take());
  }
  return inputs;
}

}  // namespace kvmtape::fuzz
