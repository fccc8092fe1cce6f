#include "schema/session_codec.h"

#include <gtest/gtest.h>

#include <random>

namespace kvmtape {
namespace {

std::string random_text(std::mt19937_64& random) {
  std::string text(random() % 40, '\0');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

TEST(SessionCodec, EverySessionComesBack) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    Session session;
    for (uint8_t& byte : session.uuid.bytes) byte = static_cast<uint8_t>(random());
    session.architecture = static_cast<Architecture>(random() % 9);
    session.byte_order = random() % 2 == 0 ? ByteOrder::kLittle : ByteOrder::kBig;
    for (std::string* text :
         {&session.kernel_release, &session.kernel_version, &session.clock_name,
          &session.monitor_name, &session.monitor_command, &session.recorder, &session.host_name,
          &session.ring_directory, &session.register_policy, &session.ring_full, &session.redaction,
          &session.trigger, &session.abi_variant, &session.distribution})
      *text = random_text(random);
    session.kernel_version += '\xff';  // not UTF-8, as a kernel is free to be
    for (uint64_t i = random() % 5; i > 0; --i) {
      session.vcpus.push_back({static_cast<uint32_t>(random()), static_cast<uint32_t>(random()),
                               static_cast<uint32_t>(random())});
      session.capabilities.push_back(
          {static_cast<uint32_t>(random()), static_cast<int32_t>(random()), random() % 2 == 0});
      session.cpu_facts.emplace_back(random_text(random), random_text(random));
      session.left_out.push_back(random_text(random));
    }
    session.start = {random(), random(), random()};
    session.now = {random(), random(), random()};
    session.ticks_per_second = random();
    session.page_bytes = static_cast<uint32_t>(random());
    session.monitor_pid = static_cast<uint32_t>(random());
    session.copied_end = static_cast<OpenEnd>(random() % 3);

    std::vector<uint8_t> chunk, again;
    encode_session(session, chunk);
    ASSERT_TRUE(check_chunk(chunk, 0).ok());
    auto decoded = decode_session(chunk);
    ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
    EXPECT_EQ(decoded->kernel_version, session.kernel_version);
    EXPECT_EQ(decoded->capabilities, session.capabilities);
    encode_session(*decoded, again);
    EXPECT_EQ(again, chunk) << "some member did not come back";
  }
}

TEST(SessionCodec, CutsAndIndexesComeBack) {
  std::mt19937_64 random(12);
  const Uuid uuid{{1, 2, 3}};
  const Cut cut{random(), {random(), random(), random()}};
  std::vector<uint8_t> chunk;
  encode_cut(cut, uuid, chunk);
  auto cut_back = decode_cut(chunk);
  ASSERT_TRUE(cut_back.ok());
  EXPECT_EQ(cut_back->number, cut.number);
  EXPECT_EQ(cut_back->clock.monotonic_ns, cut.clock.monotonic_ns);

  TraceIndex index;
  for (int i = 0; i < 50; ++i)
    index.entries.push_back({random(),
                             ChunkType::kExits,
                             static_cast<uint32_t>(random()),
                             static_cast<uint32_t>(random()),
                             random(),
                             random(),
                             random(),
                             random(),
                             random(),
                             random(),
                             {{static_cast<uint32_t>(random()), 7}}});
  index.exits = random();
  index.lost = random();
  index.previous_offset = random();
  std::vector<uint8_t> first, second;
  encode_index(index, uuid, first);
  auto index_back = decode_index(first);
  ASSERT_TRUE(index_back.ok());
  EXPECT_EQ(index_back->entries.size(), index.entries.size());
  encode_index(*index_back, uuid, second);
  EXPECT_EQ(second, first);
}

TEST(SessionCodec, ACutOffMessageIsAnErrorAndNoCrash) {
  Session session;
  session.kernel_release = "6.18.0";
  session.capabilities.assign(100, {1, 2, true});
  std::vector<uint8_t> chunk;
  encode_session(session, chunk);
  for (size_t bytes = 0; bytes < chunk.size(); bytes += 8)
    EXPECT_FALSE(decode_session(std::span(chunk).first(bytes)).ok()) << bytes;
}

}  // namespace
}  // namespace kvmtape
