// The worked example of schema/FORMAT.md: its hex dump is what the encoders write, and its bytes
// stand where the text says, read here with offsets written by hand rather than with our structs.
#include <gmock/gmock.h>

#include <cstdio>
#include <sstream>

#include "schema/chunk_codec.h"
#include "schema/session_codec.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

// One vCPU, one exit (OUT of 'K' to port 0x3f8), its answer, sealed.
std::vector<uint8_t> example_trace() {
  Session session;
  for (uint8_t i = 0; i < 16; ++i) session.uuid.bytes[i] = i;
  session.architecture = Architecture::kX86_64;
  session.clock_name = "tsc";
  session.ticks_per_second = 1'000'000'000;
  session.start = {1000, 5000, 0};
  session.vcpus = {{0, 0, 12288}};

  std::vector<uint8_t> file;
  auto append_struct = [&](const auto& value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    file.insert(file.end(), bytes, bytes + sizeof value);
  };
  append_struct(make_file_header(session.uuid));
  TraceIndex index;
  index.entries.push_back(
      {file.size(), ChunkType::kSession, kSessionStream, 0, 0, 0, 0, 0, 0, 0, {}});
  encode_session(session, file);

  RunImage run{};
  store_le<uint32_t>(&run[8], 2);        // exit_reason: KVM_EXIT_IO
  run[12] = 1;                           // ready_for_interrupt_injection
  run[32] = 1;                           // io.direction: out
  run[33] = 1;                           // io.size
  store_le<uint16_t>(&run[34], 0x3f8);   // io.port
  store_le<uint32_t>(&run[36], 1);       // io.count
  store_le<uint64_t>(&run[40], 0x1000);  // io.data_offset
  const uint8_t data[] = {'K'};
  MomentWriter writer;
  std::vector<uint64_t> words;
  writer.append(false, 0, 1500, run, data, words);
  writer.append(true, 0, 1700, run, data, words);
  ChunkEncoder encoder({0, 0, Architecture::kX86_64, ByteOrder::kLittle});
  encoder.add(words, true);
  index.entries.push_back({file.size(), ChunkType::kExits, 0, 1, 0, 1, 1500, 1700, 0, 0, {{2, 1}}});
  encoder.finish({session.uuid, 0, {1000, 5000, 0}, 1'000'000'000, 0, 0}, file);
  index.exits = 1;
  const uint64_t index_offset = file.size();
  encode_index(index, session.uuid, file);
  append_struct(make_file_trailer(index_offset));
  return file;
}

std::string hex_dump(std::span<const uint8_t> bytes) {
  std::string text;
  char part[24];
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (at % 16 == 0) {
      std::snprintf(part, sizeof part, "%s%04zx:", at == 0 ? "" : "\n", at);
      text += part;
    }
    std::snprintf(part, sizeof part, " %02x", bytes[at]);
    text += part;
  }
  return text + "\n";
}

// The lines "0040: 63 68 ..." of the document.
std::vector<uint8_t> documented_trace() {
  const auto text = file_bytes(KVMTAPE_SOURCE_DIR "/schema/FORMAT.md");
  std::istringstream lines(std::string(text.begin(), text.end()));
  std::vector<uint8_t> bytes;
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < 6 || line.find_first_not_of("0123456789abcdef") != 4 || line[4] != ':')
      continue;
    EXPECT_EQ(std::stoul(line.substr(0, 4), nullptr, 16), bytes.size()) << line;
    std::istringstream numbers(line.substr(5));
    for (std::string number; numbers >> number;)
      bytes.push_back(static_cast<uint8_t>(std::stoul(number, nullptr, 16)));
  }
  return bytes;
}

TEST(FormatExample, is_what_the_encoders_write) {
  const auto written = example_trace();
  EXPECT_TRUE(documented_trace() == written) << "put this into schema/FORMAT.md:\n"
                                             << hex_dump(written);
}

TEST(FormatExample, its_bytes_stand_where_the_text_says) {
  const auto bytes = documented_trace();
  const auto u16 = [&](size_t at) { return bytes.at(at) | bytes.at(at + 1) << 8; };
  const auto u32 = [&](size_t at) {
    return static_cast<uint32_t>(u16(at)) | static_cast<uint32_t>(u16(at + 2)) << 16;
  };
  const auto u64 = [&](size_t at) { return u32(at) | uint64_t{u32(at + 4)} << 32; };
  ASSERT_GT(bytes.size(), 64u + 3 * 96 + 24);
  EXPECT_EQ(std::string(bytes.begin() + 1, bytes.begin() + 6), "KVMTP");
  EXPECT_EQ(u16(8), 1);     // major
  EXPECT_EQ(u32(12), 64u);  // where the first chunk begins

  EXPECT_EQ(std::string(bytes.begin() + 64, bytes.begin() + 68), "chnk");
  EXPECT_EQ(u16(68), 1);  // Session
  EXPECT_EQ(u16(70), 96);
  const size_t exits = 64 + 96 + u32(72);
  EXPECT_EQ(u16(exits + 4), 2);       // Exits
  EXPECT_EQ(u32(exits + 32), 0u);     // vCPU
  EXPECT_EQ(u32(exits + 36), 1u);     // exits
  EXPECT_EQ(u64(exits + 48), 1u);     // end_seq
  EXPECT_EQ(u64(exits + 56), 1500u);  // first_tsc
  EXPECT_EQ(u64(exits + 64), 1700u);  // last_tsc
  const size_t index = exits + 96 + u32(exits + 8);
  EXPECT_EQ(u16(index + 4), 4);  // Index
  const size_t trailer = index + 96 + u32(index + 8);
  EXPECT_EQ(std::string(bytes.begin() + static_cast<ptrdiff_t>(trailer),
                        bytes.begin() + static_cast<ptrdiff_t>(trailer) + 8),
            "ktapeend");
  EXPECT_EQ(u64(trailer + 8), index);
  EXPECT_EQ(trailer + 24, bytes.size());
}

TEST(FormatExample, is_read_as_the_text_says) {
  ScratchDirectory scratch;
  write_file(scratch.file("t"), documented_trace());
  const SeenTrace seen = read_all(scratch.file("t"));
  ASSERT_FALSE(seen.error);
  EXPECT_TRUE(seen.health.complete());
  ASSERT_EQ(seen.items.size(), 1u);
  EXPECT_EQ(seen.items[0].reason, 2u);
  EXPECT_EQ(seen.items[0].time_ns, 500);
  EXPECT_EQ(seen.items[0].monitor_ns, 200);
  EXPECT_EQ(seen.items[0].data, std::vector<uint8_t>{'K'});
}

}  // namespace
}  // namespace kvmtape::testing
