// The columns of an Exits chunk, each with arbitrary content: the input lists them, and a chunk
// around them is built here, so that mutations work on what stands inside the compression.
//
//   u8 setup (bit 0 s390, bit 1 big-endian) | u16 exits | u64 first_seq | u64 end_seq |
//   u64 previous_ticks |
//   columns: u8 id, u8 how, u16 bytes, bytes
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <schema/trace.capnp.h>

#include "schema/base/check.h"
#include "schema/chunk_codec.h"
#include "schema/column_codec.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/seed_traces.h"

namespace kvmtape::fuzz {
namespace {

enum How : uint8_t {
  kPlain = 0,
  kCompressed = 1,
  kNotAFrame = 2,  // said to be compressed
  kWrongSize = 3,  // rawBytes is one more
  kHowCount = 4,
};
constexpr size_t kColumnsMax = 64;

void put_column(wire::Column::Builder column, uint8_t id, uint8_t how,
                std::span<const uint8_t> bytes) {
  static Compressor compressor;
  Bytes frame;
  column.setId(id);
  column.setRequired(id <= static_cast<uint8_t>(ColumnId::kSide));
  column.setRawBytes(static_cast<uint32_t>(bytes.size() + (how == kWrongSize ? 1 : 0)));
  column.setZstd(how == kNotAFrame);
  if (how == kCompressed) compressor.encode_frame(bytes, frame);
  if (!frame.empty()) {
    column.setZstd(true);
    bytes = frame;
  }
  column.setBytes(kj::arrayPtr(bytes.data(), bytes.size()));
}

Bytes chunk_from(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const auto setup = cursor.read<uint8_t>();
  ChunkHeader header{};
  header.type = static_cast<uint16_t>(ChunkType::kExits);
  header.exits = cursor.read<uint16_t>();
  header.first_seq = cursor.read<uint64_t>();
  header.end_seq = cursor.read<uint64_t>();
  capnp::MallocMessageBuilder message;
  auto exits = message.initRoot<wire::Exits>();
  exits.setArchitecture(
      static_cast<uint16_t>((setup & 1) != 0 ? Architecture::kS390x : Architecture::kX86_64));
  exits.setCoreWords((setup & 1) != 0 ? kCoreWordsS390 : kCoreWords);
  exits.setBigEndian((setup & 2) != 0);
  exits.setPreviousTicks(cursor.read<uint64_t>());
  auto columns = exits.initColumns(kColumnsMax);
  for (uint32_t i = 0; i < kColumnsMax && cursor.remaining() >= 4; ++i) {
    const auto id = cursor.read<uint8_t>();
    const auto how = static_cast<uint8_t>(cursor.read<uint8_t>() % kHowCount);
    const size_t bytes = std::min<size_t>(cursor.read<uint16_t>(), cursor.remaining());
    put_column(columns[i], id, how, cursor.take(bytes));
  }
  const auto words = capnp::messageToFlatArray(message);
  Bytes chunk;
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, chunk);
  return chunk;
}

// With `summary`: the two ways to read a chunk agree.
void walk(ChunkDecoder& decoder, const ChunkDecoder::Summary* summary) {
  size_t exits = 0;
  for (;;) {
    const auto item = decoder.next();
    if (item == ChunkDecoder::Item::kCorrupt) return;
    if (item == ChunkDecoder::Item::kEnd) break;
    if (item == ChunkDecoder::Item::kSide) {
      touch(decoder.side().payload);
      continue;
    }
    const RecordedExit& exit = decoder.exit();
    touch(exit.kvm_run);
    touch(exit.data);
    touch(exit.answer_kvm_run);
    touch(exit.answer_data);
    if (summary != nullptr) {
      KVMTAPE_CHECK(summary->reasons[exits] == exit.reason);
      const uint64_t guest = summary->guest[exits];
      KVMTAPE_CHECK(guest == ChunkDecoder::kNoTicks || guest == exit.tsc - exit.previous_tsc);
      KVMTAPE_CHECK(!exit.has_answer || summary->monitor[exits] == exit.answer_tsc - exit.tsc);
    }
    ++exits;
  }
  KVMTAPE_CHECK(exits == decoder.header().exits);
}

// The input that chunk_from() turns into this chunk.
Bytes input_of(const Bytes& chunk) {
  ChunkDecoder decoder;
  KVMTAPE_CHECK(decoder.open(chunk).ok());
  const ChunkHeader& header = decoder.header();
  const std::span<const uint8_t> body = std::span(chunk).subspan(header.header_bytes);
  capnp::FlatArrayMessageReader message(kj::ArrayPtr<const capnp::word>(
      reinterpret_cast<const capnp::word*>(body.data()), body.size() / sizeof(capnp::word)));
  auto exits = message.getRoot<wire::Exits>();
  InputWriter input;
  input.put<uint8_t>(0)
      .put(static_cast<uint16_t>(header.exits))
      .put(header.first_seq)
      .put(header.end_seq);
  input.put<uint64_t>(exits.getPreviousTicks());
  Decompressor decompressor;
  for (auto column : exits.getColumns()) {
    Bytes raw(column.getBytes().begin(), column.getBytes().end());
    if (column.getZstd()) {
      const Bytes frame = std::move(raw);
      raw.assign(column.getRawBytes(), 0);
      KVMTAPE_CHECK(decompressor.decode_frame(frame, raw));
    }
    input.put(static_cast<uint8_t>(column.getId()));
    input.put<uint8_t>(column.getZstd() ? kCompressed : kPlain);
    input.put(static_cast<uint16_t>(raw.size())).put_bytes(raw);
  }
  return input.take();
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  const Bytes chunk = chunk_from(input);
  KVMTAPE_CHECK(check_chunk(chunk, 0).ok());
  static ChunkDecoder decoder;  // buffers are kept from chunk to chunk, as readers do
  if (!decoder.open(chunk)) return;
  const auto summary = decoder.summarize();
  if (!decoder.begin()) return;
  walk(decoder, summary.ok() ? &*summary : nullptr);
  KVMTAPE_CHECK(decoder.begin().ok());  // what could be walked can be walked again
  walk(decoder, nullptr);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  for (const Bytes& chunk : seed_chunks(static_cast<uint16_t>(ChunkType::kExits)))
    inputs.push_back(input_of(chunk));
  return inputs;
}

}  // namespace kvmtape::fuzz
