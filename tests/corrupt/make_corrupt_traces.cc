// Writes traces/corrupt: one small recording for each defect, named by it. Run again it writes the
// same bytes.
//
//   make_corrupt_traces DIRECTORY
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <schema/trace.capnp.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "schema/base/crc32c.h"
#include "schema/column_codec.h"
#include "schema/file_order.h"
#include "schema/ring_layout.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

std::string directory;

// Two vCPUs, four chunks of exits, a mark; sealed if wanted.
TraceBuilder small_trace(bool seal = true) {
  TraceBuilder trace;
  trace.add_exits(0, 6).add_exits(1, 3).cut().add_exits(0, 4).add_mark("mark").add_exits(1, 2);
  return seal ? trace.seal() : trace.cut();
}

void save(const std::string& name, const TraceBuilder& trace) {
  trace.write_to(directory + "/" + name + ".kvmtape");
}
void save(const std::string& name, std::vector<uint8_t> bytes) {
  write_file(directory + "/" + name + ".kvmtape", bytes);
}

ChunkHeader header_at(const TraceBuilder& trace, uint64_t offset) {
  auto header = load_file_struct<ChunkHeader>(TraceBuilder(trace).bytes().data() + offset);
  return header;
}

// Makes the checksum of a chunk right again, as a writer with a bug would have it.
void sign_chunk(TraceBuilder& trace, uint64_t offset) {
  ChunkHeader header = header_at(trace, offset);
  const std::span<uint8_t> bytes(trace.bytes().data() + offset,
                                 header.header_bytes + header.body_bytes);
  header.crc32c = 0;
  header.crc32c = crc32c(bytes.subspan(sizeof header),
                         crc32c({reinterpret_cast<const uint8_t*>(&header), sizeof header}));
  std::memcpy(bytes.data(), &header, sizeof header);
}

// An unsealed trace whose second chunk of exits is what `change` made of its message.
void save_changed(const std::string& name,
                  const std::function<void(wire::Exits::Builder)>& change) {
  TraceBuilder trace = small_trace(false);
  const uint64_t at = trace.offset_of(ChunkType::kExits, 2);
  const ChunkHeader header = header_at(trace, at);
  std::vector<uint64_t> body(header.body_bytes / 8);
  std::memcpy(body.data(), trace.bytes().data() + at + header.header_bytes, header.body_bytes);
  capnp::FlatArrayMessageReader reader(
      {reinterpret_cast<const capnp::word*>(body.data()), body.size()});
  capnp::MallocMessageBuilder message;
  message.setRoot(reader.getRoot<wire::Exits>());
  change(message.getRoot<wire::Exits>());
  const auto words = capnp::messageToFlatArray(message);
  std::vector<uint8_t> chunk;
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, chunk);
  std::vector<uint8_t>& bytes = trace.bytes();
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
  const auto rest = bytes.erase(begin, begin + header.header_bytes + header.body_bytes);
  bytes.insert(rest, chunk.begin(), chunk.end());
  save(name, trace);
}

wire::Column::Builder column(wire::Exits::Builder exits, ColumnId id) {
  for (auto found : exits.getColumns())
    if (found.getId() == static_cast<uint16_t>(id)) return found;
  std::abort();
}

void save_tails() {
  TraceBuilder torn = small_trace();
  save("torn_tail", torn.truncate_at(torn.offset_of(ChunkType::kExits, 3) + 200));
  save("torn_chunk_header", torn.truncate_at(torn.offset_of(ChunkType::kExits, 3) + 50));
  save("no_footer", small_trace(false));
  TraceBuilder zeros = small_trace(false);
  zeros.bytes().resize(zeros.bytes().size() + 4096);
  save("zero_tail", zeros);
  TraceBuilder trailer = small_trace();
  save("bad_footer", trailer.flip_byte(trailer.bytes().size() - 4));
  TraceBuilder index = small_trace();
  save("bad_index", index.flip_byte(index.bytes().size() - sizeof(FileTrailer) - 40));
}

void save_heads() {
  TraceBuilder whole = small_trace();
  save("empty", std::vector<uint8_t>{});
  TraceBuilder only = whole;
  save("only_a_header", only.truncate_at(sizeof(FileHeader)));
  TraceBuilder half = whole;
  save("half_a_header", half.truncate_at(sizeof(FileHeader) / 2));
  TraceBuilder lost = whole;
  std::fill_n(lost.bytes().begin(), lost.offset_of(ChunkType::kExits), uint8_t{0});
  save("lost_head", lost);
  TraceBuilder newer = whole;
  FileHeader header = make_file_header(newer.session());
  header.major = kFormatMajor + 1;
  header.crc32c = 0;
  header.crc32c = crc32c({reinterpret_cast<const uint8_t*>(&header), sizeof header});
  std::memcpy(newer.bytes().data(), &header, sizeof header);
  save("newer_major", newer);
  const std::string text =
      "This is a text, and kvmtape is asked to read it as a recording of exits.\n";
  save("a_text", {text.begin(), text.end()});
}

void save_chunks() {
  TraceBuilder crc = small_trace();
  save("bad_crc", crc.flip_byte(crc.offset_of(ChunkType::kExits) + offsetof(ChunkHeader, crc32c)));
  TraceBuilder flipped = small_trace();
  const uint64_t at = flipped.offset_of(ChunkType::kExits);
  save("flipped_column_byte", flipped.flip_byte(at + sizeof(ChunkHeader) + 400));
  TraceBuilder false_size = small_trace(false);
  const uint64_t second = false_size.offset_of(ChunkType::kExits, 1);
  save("false_chunk_size", false_size.flip_byte(second + offsetof(ChunkHeader, body_bytes) + 1));
  TraceBuilder false_seq = small_trace(false);
  const uint64_t third = false_seq.offset_of(ChunkType::kExits, 2);
  false_seq.flip_byte(third + offsetof(ChunkHeader, first_seq) + 7);
  sign_chunk(false_seq, third);
  save("false_sequence", false_seq);
  TraceBuilder wrong = small_trace(false);
  const uint64_t foreign = wrong.offset_of(ChunkType::kExits, 2);
  wrong.flip_byte(foreign + offsetof(ChunkHeader, session));
  sign_chunk(wrong, foreign);
  save("wrong_session_chunk", wrong);
  TraceBuilder type = small_trace(false);
  const uint64_t cut = type.offset_of(ChunkType::kCut);
  type.flip_byte(cut + offsetof(ChunkHeader, type), 0x40);
  sign_chunk(type, cut);
  save("unknown_chunk_type", type);
  TraceBuilder session = small_trace(false);
  save("no_session_chunk", session.flip_byte(session.offset_of(ChunkType::kSession) + 120));
}

void save_columns() {
  save_changed("unknown_required_column", [](wire::Exits::Builder exits) {
    auto changed = column(exits, ColumnId::kSide);
    changed.setId(900);
  });
  save_changed("unknown_optional_column", [](wire::Exits::Builder exits) {
    auto changed = column(exits, ColumnId::kSide);  // empty here
    changed.setId(900);
    changed.setRequired(false);
  });
  save_changed("columns_contradict", [](wire::Exits::Builder exits) {
    auto changed = column(exits, ColumnId::kExitWords);
    changed.setBytes(kj::ArrayPtr<const kj::byte>());
    changed.setRawBytes(0);
    changed.setZstd(false);
  });
  save_changed("impossible_core_words", [](wire::Exits::Builder exits) { exits.setCoreWords(9); });
  // 64 MiB of zeros in a few kilobytes, said to be what a chunk may hold at most.
  save_changed("zstd_bomb", [](wire::Exits::Builder exits) {
    std::vector<uint8_t> frame;
    Compressor().encode_frame(std::vector<uint8_t>(64u << 20), frame);
    auto changed = column(exits, ColumnId::kData);
    changed.setBytes({frame.data(), frame.size()});
    changed.setZstd(true);
    changed.setRawBytes(kChunkRawBytesMax / 2);
  });
  save_changed("too_large_uncompressed", [](wire::Exits::Builder exits) {
    column(exits, ColumnId::kData).setRawBytes(0xffffffff);
  });
}

void append_exits_of(const TraceBuilder& from, TraceBuilder& to) {
  TraceBuilder copy = from;
  const uint64_t at = copy.offset_of(ChunkType::kExits);
  to.append_chunk({copy.bytes().begin() + static_cast<ptrdiff_t>(at), copy.bytes().end()});
}

// Chunks that are whole, and do not fit each other or what an index says of them.
void save_neighbours() {
  TraceBuilder again, overlapping = small_trace(false);
  again.add_exits(0, 8).add_gap(0, 4, GapReason::kRingFull).add_exits(0, 3).flush(0);
  append_exits_of(again, overlapping);
  save("overlapping_chunk", overlapping);

  TraceBuilder copy, gone;
  gone.add_exits(0, 6).flush(0).add_exits(0, 4).flush(0).add_exits(1, 3).flush(1).split_index();
  copy.add_exits(0, 10).flush(0);
  append_exits_of(copy, gone);
  for (const size_t number : {1u, 2u})
    gone.flip_byte(gone.offset_of(ChunkType::kExits, number) + 150);
  save("indexed_chunk_gone", gone);

  TraceBuilder repeat = small_trace(false);
  repeat.add_exits(0, 1).add_record(0, RecordKind::kRepeat, 0, {10, 9, 0, 0, 0, 0}).flush(0);
  const uint64_t at = repeat.offset_of(ChunkType::kExits, 5);
  ChunkHeader header = header_at(repeat, at);
  header.end_seq -= 5;
  std::memcpy(&repeat.bytes()[at], &header, sizeof header);
  sign_chunk(repeat, at);
  save("repeat_beyond_header", repeat);

  TraceBuilder gaps = small_trace(false);
  gaps.add_exits(0, 1).add_gap(0, 6, GapReason::kRingFull).add_exits(0, 1).seal();
  const uint64_t index_at = check_file_trailer(gaps.bytes())->index_offset;
  auto index = decode_index(std::span(gaps.bytes()).subspan(index_at));
  for (IndexEntry& entry : index->entries) entry.lost = entry.lost == 0 ? 0 : 5;
  std::vector<uint8_t> chunk;
  encode_index(*index, gaps.session(), chunk);
  std::ranges::copy(chunk, gaps.bytes().begin() + static_cast<ptrdiff_t>(index_at));
  save("index_of_other_gaps", gaps);
}

// Cap'n Proto messages that promise far more than they hold.
void save_messages() {
  const auto save_body = [](const std::string& name, const std::vector<uint64_t>& body) {
    TraceBuilder trace = small_trace(false);
    std::vector<uint8_t> chunk;
    ChunkHeader header = header_at(trace, trace.offset_of(ChunkType::kExits, 3));
    header.first_seq = header.end_seq;
    header.end_seq += header.exits;
    append_chunk(header, {reinterpret_cast<const uint8_t*>(body.data()), body.size() * 8}, chunk);
    save(name, trace.append_chunk(chunk));
  };
  // Columns: 2^29 structs of no size, which fit into one word.
  TraceBuilder good = small_trace(false);
  const uint64_t at = good.offset_of(ChunkType::kExits);
  const ChunkHeader header = header_at(good, at);
  std::vector<uint64_t> words(header.body_bytes / 8);
  std::memcpy(words.data(), good.bytes().data() + at + header.header_bytes, header.body_bytes);
  const size_t pointers = 2 + (words[1] >> 32 & 0xffff);  // behind segment table, root, its data
  const size_t columns = pointers + 1;                    // after `clock`
  words[columns] = (words.size() - columns - 1) << 2 | 1 | uint64_t{7} << 32;
  words.push_back(uint64_t{0x1fffffff} << 2);
  words[0] += uint64_t{1} << 32;
  save_body("capnp_bomb", words);
  // A root that points to itself.
  save_body("capnp_loop", {uint64_t{2} << 32, 0x00010000fffffffc, 0x00010000fffffffc});
  save_body("capnp_too_many_segments", {0xffffffffffffffff, 0});
}

// A recording that was cut off, and a ring of it that this kvmtape cannot read.
void save_rings() {
  const TraceBuilder trace = small_trace(false);
  const auto ring = [&](const std::string& name, uint32_t version, size_t bytes) {
    save(name, trace);
    const std::string rings = directory + "/" + name + ".rings";
    std::filesystem::create_directories(rings);
    RingHeader header{};
    header.magic = kRingMagic;
    header.version = version;
    header.header_bytes = kRingHeaderBytes;
    header.session = trace.session();
    header.block_bytes = kBlockBytesMin;
    header.block_count = kBlockCountMin;
    header.core_words = kCoreWords;
    std::vector<uint8_t> file(bytes);
    std::memcpy(file.data(), static_cast<const void*>(&header), sizeof header);
    write_file(rings + "/vcpu-0.ring", file);
  };
  ring("ring_of_another_version", kRingVersion + 1, kRingHeaderBytes);
  ring("ring_cut_off", kRingVersion, kRingHeaderBytes);
}

}  // namespace
}  // namespace kvmtape::testing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corrupt_traces DIRECTORY\n");
    return 2;
  }
  kvmtape::testing::directory = argv[1];
  std::filesystem::create_directories(argv[1]);
  kvmtape::testing::save_tails();
  kvmtape::testing::save_heads();
  kvmtape::testing::save_chunks();
  kvmtape::testing::save_columns();
  kvmtape::testing::save_neighbours();
  kvmtape::testing::save_messages();
  kvmtape::testing::save_rings();
  return 0;
}
