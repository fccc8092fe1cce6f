// Chunks that no encoder of ours would write: columns from the future, and small bodies that claim
// to be large.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gmock/gmock.h>
#include <schema/trace.capnp.h>
#include <zstd.h>

#include <functional>

#include "schema/chunk_codec.h"
#include "schema/file_order.h"
#include "schema/session_codec.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

// One exit's chunk of trace_builder.h with one more column.
std::vector<uint8_t> chunk_with_column(const std::function<void(wire::Column::Builder)>& fill) {
  TraceBuilder trace;
  trace.add_exits(0, 4).flush(0);
  const auto chunk =
      std::span<const uint8_t>(trace.bytes()).subspan(trace.offset_of(ChunkType::kExits));
  auto header = load_file_struct<ChunkHeader>(chunk.data());
  const auto body = chunk.subspan(sizeof header, header.body_bytes);
  capnp::FlatArrayMessageReader reader(kj::ArrayPtr<const capnp::word>(
      reinterpret_cast<const capnp::word*>(body.data()), body.size() / 8));
  capnp::MallocMessageBuilder message;
  message.setRoot(reader.getRoot<wire::Exits>());
  auto exits = message.getRoot<wire::Exits>();
  auto old_columns = reader.getRoot<wire::Exits>().getColumns();
  auto columns = exits.initColumns(old_columns.size() + 1);
  for (uint32_t i = 0; i < old_columns.size(); ++i) columns.setWithCaveats(i, old_columns[i]);
  fill(columns[old_columns.size()]);
  const auto words = capnp::messageToFlatArray(message);
  std::vector<uint8_t> out;
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, out);
  return out;
}

TEST(HostileChunk, a_column_from_the_future_is_passed_over_unless_it_is_required) {
  for (const bool required : {false, true}) {
    const auto chunk = chunk_with_column([&](wire::Column::Builder column) {
      column.setId(999);
      column.setRequired(required);
      column.setRawBytes(100);
    });
    ChunkDecoder decoder;
    const auto opened = decoder.open(chunk);
    EXPECT_EQ(opened.ok(), !required);
    if (required) {
      EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
      continue;
    }
    ASSERT_TRUE(decoder.begin());
    EXPECT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  }
}

TEST(HostileChunk, a_column_that_claims_more_than_the_limit_is_refused_before_it_is_unpacked) {
  const auto chunk = chunk_with_column([](wire::Column::Builder column) {
    column.setId(static_cast<uint16_t>(ColumnId::kData));
    column.setRawBytes(0xffffffff);
  });
  ChunkDecoder decoder;
  EXPECT_FALSE(decoder.open(chunk));
}

TEST(HostileChunk, a_frame_that_unpacks_to_more_than_its_column_says_is_refused) {
  std::vector<uint8_t> frame(ZSTD_compressBound(64 << 20));
  const std::vector<uint8_t> zeros(64 << 20);
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 1));
  const auto chunk = chunk_with_column([&](wire::Column::Builder column) {
    column.setId(static_cast<uint16_t>(ColumnId::kData));
    column.setRawBytes(8);
    column.setBytes(kj::arrayPtr(frame.data(), frame.size()));
  });
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  EXPECT_FALSE(decoder.begin());
}

// Lists of empty structs take no bytes in a message: 24 bytes can claim half a billion of them.
TEST(HostileChunk, a_message_that_claims_half_a_billion_elements_is_refused) {
  const uint64_t list_of_empty_structs[] = {
      // One segment of 4 words: root struct with no data and one pointer; the pointer is an inline
      // composite list of 0x1fffffff elements of size 0.
      0x0000000300000000, 0x0001000000000000, 0x0000000700000001, 0x000000007ffffffc};
  for (const ChunkType type : {ChunkType::kIndex, ChunkType::kSession}) {
    ChunkHeader header{};
    header.type = static_cast<uint16_t>(type);
    std::vector<uint8_t> chunk;
    append_chunk(
        header,
        {reinterpret_cast<const uint8_t*>(list_of_empty_structs), sizeof list_of_empty_structs},
        chunk);
    if (type == ChunkType::kIndex)
      EXPECT_FALSE(decode_index(chunk));
    else
      EXPECT_TRUE(!decode_session(chunk) || decode_session(chunk)->vcpus.empty());
  }
}

}  // namespace
}  // namespace kvmtape::testing
