// Nothing that a profile removes is anywhere in the file that `redact` writes.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <unordered_set>

#include "replayer/rewrite/record_writer.h"
#include "replayer/rewrite/redactor.h"
#include "schema/abi/registry.h"
#include "tests/support/architectures.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

constexpr RedactionProfile kProfiles[] = {RedactionProfile::kPayload, RedactionProfile::kRegs,
                                          RedactionProfile::kStrict};

bool keeps_field(RedactionProfile profile, std::string_view name) {
  return keeps(profile, sensitivity_of(name).value_or(Sensitivity::kPayload));
}

TEST(RedactionTable, every_field_that_readers_see_has_a_sensitivity) {
  for (const abi::MemberField& row : abi::member_fields()) {
    if (row.field.form == abi::FieldForm::kPadding) continue;
    EXPECT_TRUE(sensitivity_of(row.field.name)) << row.field.name;
  }
  for (const abi::AbiField& row : abi::header_fields())
    EXPECT_TRUE(sensitivity_of(row.name)) << row.name;
  EXPECT_FALSE(sensitivity_of("a_field.of_the_future"));
  EXPECT_FALSE(keeps(RedactionProfile::kPayload, Field().sensitivity)) << "unless a table says so";
}

TEST(RedactionTable, profiles_are_steps) {
  for (const abi::MemberField& row : abi::member_fields()) {
    const auto name = row.field.name;
    EXPECT_LE(keeps_field(RedactionProfile::kRegs, name),
              keeps_field(RedactionProfile::kPayload, name));
    EXPECT_LE(keeps_field(RedactionProfile::kStrict, name),
              keeps_field(RedactionProfile::kRegs, name));
  }
}

TEST(RedactionTable, a_decoded_field_has_the_sensitivity_of_its_name) {
  DecodeContext context;
  context.architecture = Architecture::kX86_64;
  const ExitDecoder decoder(context);
  std::array<uint8_t, kCoreWords * kWordBytes> page{};
  Exit exit;
  for (uint8_t reason = 0; reason <= 46; ++reason) {
    page[8] = reason;
    decoder.decode({page, {}, 0, true, false}, exit);
    for (const Field& field : exit.all_fields())
      EXPECT_EQ(field.sensitivity, sensitivity_of(field.name)) << field.name;
  }
}

// Every exit of an architecture with random bytes wherever KVM or the monitor may write.
class RandomTrace {
 public:
  RandomTrace(Architecture architecture, const DecodeContext& context, RedactionProfile profile)
      : decoder_(context), profile_(profile), stream_{0, 0, architecture, context.byte_order} {
    core_bytes_ = size_t{core_words_of(architecture)} * kWordBytes;
    ChunkEncoder encoder(stream_);
    RecordWriter writer(core_words_of(architecture));
    for (uint32_t reason = 0; reason <= 46; ++reason)
      for (int variant = 0; variant < 6; ++variant) add_exit(writer, reason);
    add_sides(writer);
    writer.finish();
    EXPECT_EQ(encoder.add(writer.words(), true), writer.words().size());
    std::vector<uint8_t> exits, session_chunk;
    Session session;
    session.uuid.bytes[0] = 7;
    session.architecture = architecture;
    session.monitor_command = "vmm -append secret";
    encoder.finish({session.uuid, 0, {}, 1'000'000'000, 0, 0}, exits);
    encode_session(session, session_chunk);
    const FileHeader header = make_file_header(session.uuid);
    const auto* head = reinterpret_cast<const uint8_t*>(&header);
    bytes_.assign(head, head + sizeof header);
    for (const auto* chunk : {&session_chunk, &exits})
      bytes_.insert(bytes_.end(), chunk->begin(), chunk->end());
  }

  const std::vector<uint8_t>& bytes() const { return bytes_; }
  // Whether one of the words that must go stands anywhere in `text`.
  bool leaks_into(std::span<const uint8_t> text) const {
    for (size_t at = 0; at + kWordBytes <= text.size(); ++at) {
      uint64_t word = 0;
      std::memcpy(&word, &text[at], sizeof word);
      if (removed_.contains(word)) return true;
    }
    return false;
  }
  size_t removed_words() const { return removed_.size(); }

 private:
  std::vector<uint8_t> random_bytes(size_t size) {
    std::vector<uint8_t> bytes(size);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random_());
    return bytes;
  }
  void remove_words(std::span<const uint8_t> bytes) {
    for (size_t at = 0; at + kWordBytes <= bytes.size(); at += kWordBytes) {
      uint64_t word = 0;
      std::memcpy(&word, &bytes[at], sizeof word);
      if (word >> 40 != 0) removed_.insert(word);  // not the selectors: they are no secrets
    }
  }
  // Random, but selectors get values that lead somewhere now and then.
  std::vector<uint8_t> random_run(uint32_t reason) {
    auto run = random_bytes(core_bytes_ + kSyncWords * kWordBytes);
    const size_t union_at = core_bytes_ - 256;
    if (random_() % 2 == 0) {
      const auto selector = static_cast<uint32_t>(1 + random_() % 3);
      std::memcpy(&run[union_at], &selector, 4);
      const uint32_t count = 3;  // ndata
      std::memcpy(&run[union_at + 4], &count, 4);
    }
    if (random_() % 2 == 0) run[union_at + 1] = 1;  // io.size
    if (random_() % 2 == 0) {
      const uint32_t len = 8;  // mmio.len
      std::memcpy(&run[union_at + 16], &len, 4);
    }
    std::memcpy(&run[8], &reason, 4);
    return run;
  }
  void add_exit(RecordWriter& writer, uint32_t reason) {
    RecordedExit exit;
    const auto run = random_run(reason), answer = random_run(reason);
    const auto data = random_bytes(64), answer_data = random_bytes(64);
    exit.tsc = tsc_ += 100;
    exit.kvm_run = run;
    exit.data = data;
    exit.has_answer = true;
    exit.answer_tsc = exit.tsc + 10;
    exit.answer_kvm_run = answer;
    exit.answer_data = answer_data;
    writer.add(exit);
    remove_words(data);
    remove_words(answer_data);
    remove_moment({run, data, 0, true, false});
    remove_moment({answer, answer_data, 0, true, true});
  }
  // What no valid field of a kept kind touches.
  void remove_moment(const RawMoment& moment) {
    Exit exit;
    decoder_.decode(moment, exit);
    std::vector<bool> kept(core_bytes_);
    kept[8] = kept[14] = true;
    for (const Field& field : exit.all_fields())
      if (!field.in_data && field.validity == Validity::kValid && keeps_field(profile_, field.name))
        std::fill_n(kept.begin() + field.offset, field.bytes, true);
    for (size_t at = 0; at < core_bytes_; at += kWordBytes)
      if (std::none_of(kept.begin() + static_cast<ptrdiff_t>(at),
                       kept.begin() + static_cast<ptrdiff_t>(at + kWordBytes),
                       [](bool keep) { return keep; }))
        remove_words(moment.kvm_run.subspan(at, kWordBytes));
    if (profile_ != RedactionProfile::kPayload) remove_words(moment.kvm_run.subspan(core_bytes_));
  }
  void add_sides(RecordWriter& writer) {
    const auto secret = random_bytes(64);
    remove_words(secret);
    const auto add = [&](RecordKind kind, std::vector<uint32_t> head) {
      std::vector<uint8_t> payload(head.size() * 4);
      std::memcpy(payload.data(), head.data(), payload.size());
      payload.insert(payload.end(), secret.begin(), secret.end());
      SideRecord side;
      side.kind = kind;
      side.tsc = tsc_;
      side.payload = payload;
      writer.add(side);
    };
    // set (with status), error, bytes, reserved
    add(RecordKind::kRegisters, {static_cast<uint32_t>(RegisterSet::kMsrs), 0, 64, 0});
    if (profile_ != RedactionProfile::kPayload)
      add(RecordKind::kRegisters, {static_cast<uint32_t>(RegisterSet::kSregs), 0, 64, 0});
    add(RecordKind::kMemorySlice, {1, 2, 3, 4, 1, 64});
    add(RecordKind::kControlCall, {2, 0xae41, 0, 0, 0, 0, 0, 64, 0, 0});
    add(static_cast<RecordKind>(40), {1, 2});
  }

  std::mt19937_64 random_{20261121};
  ExitDecoder decoder_;
  RedactionProfile profile_;
  StreamDescription stream_;
  size_t core_bytes_ = 0;
  uint64_t tsc_ = 1000;
  std::unordered_set<uint64_t> removed_;
  std::vector<uint8_t> bytes_;
};

class RedactTest : public ::testing::TestWithParam<Architecture> {
 protected:
  static DecodeContext context() {
    DecodeContext context;
    context.architecture = GetParam();
    context.kernel = parse_kernel_release("6.12.0");
    return context;
  }
  ScratchDirectory scratch_;
};

TEST_P(RedactTest, no_removed_value_survives_anywhere_in_the_file) {
  for (const RedactionProfile profile : kProfiles) {
    SCOPED_TRACE(to_string(profile));
    const RandomTrace trace(GetParam(), context(), profile);
    ASSERT_GT(trace.removed_words(), 5000u);
    const std::string from = scratch_.file("from.kvmtape"), to = scratch_.file("to.kvmtape");
    write_file(from, trace.bytes());
    auto reader = TraceReader::open(from);
    ASSERT_TRUE(reader);
    Redactor redactor(context(), profile);
    const auto totals = rewrite_trace(**reader, {to, true, "redacted", &redactor});
    ASSERT_TRUE(totals) << totals.error().to_string();
    EXPECT_EQ(totals->exits(), 47u * 6u);
    EXPECT_EQ(totals->exits_damaged, 0u);

    EXPECT_FALSE(trace.leaks_into(file_bytes(to)));
    auto redacted = TraceReader::open(to);
    ASSERT_TRUE(redacted);
    EXPECT_EQ((*redacted)->session().redaction, to_string(profile));
    EXPECT_EQ((*redacted)->session().monitor_command, "");
    size_t side_records = 0;
    (*redacted)->rewind();
    for (Item item; (*redacted)->next(item);) {
      if (item.side != nullptr) {
        ++side_records;
        EXPECT_FALSE(trace.leaks_into(item.side->payload));
      }
      if (item.kind != Item::Kind::kExit) continue;
      ASSERT_FALSE(trace.leaks_into(item.exit->kvm_run)) << item.exit->reason;
      ASSERT_FALSE(trace.leaks_into(item.exit->answer_kvm_run)) << item.exit->reason;
      ASSERT_EQ(item.exit->data.size(), 64u) << "sizes stay";
      ASSERT_TRUE(std::ranges::all_of(item.exit->data, [](uint8_t byte) { return byte == 0; }));
      ASSERT_TRUE(
          std::ranges::all_of(item.exit->answer_data, [](uint8_t byte) { return byte == 0; }));
    }
    EXPECT_EQ(side_records, profile == RedactionProfile::kPayload ? 3u : 4u);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, RedactTest, ::testing::ValuesIn(kArchitectures),
                         architecture_suffix);

// An MMIO write of four bytes on x86 behind a hypercall that left its arguments in the union.
class RedactedMmio : public ::testing::Test {
 protected:
  Exit decoded(RedactionProfile profile) {
    image_[8] = 6;                                        // KVM_EXIT_MMIO
    store_le<uint64_t>(&image_[16], 0x5);                 // cr8
    store_le<uint64_t>(&image_[32], 0xfee000b0);          // phys_addr
    store_le<uint64_t>(&image_[40], 0x1122334455667788);  // data
    store_le<uint32_t>(&image_[48], 4);                   // len
    image_[52] = 1;                                       // is_write
    store_le<uint64_t>(&image_[64], 0xdeadbeef);          // left over
    DecodeContext context;
    context.architecture = Architecture::kX86_64;
    context.kernel = parse_kernel_release("6.12.0");
    Redactor redactor(context, profile);
    RecordedExit exit;
    exit.kvm_run = image_;
    redactor.edit(exit);
    redacted_.assign(exit.kvm_run.begin(), exit.kvm_run.end());
    context.redaction = profile;
    Exit result;
    ExitDecoder(context).decode({redacted_, {}, 0, true, false}, result);
    return result;
  }
  RunImage image_{};
  std::vector<uint8_t> redacted_;
};

TEST_F(RedactedMmio, a_removed_field_is_unknown_and_says_redacted) {
  const Exit exit = decoded(RedactionProfile::kPayload);
  EXPECT_EQ(exit.find("mmio.data")->validity, Validity::kUnknown);
  EXPECT_EQ(exit.find("mmio.data")->why, "redacted");
  EXPECT_EQ(load_le<uint64_t>(&redacted_[40]), 0u);
  EXPECT_EQ(load_le<uint64_t>(&redacted_[64]), 0u) << "left over from an earlier exit";
}

TEST_F(RedactedMmio, what_the_profile_keeps_is_valid_and_what_it_was) {
  for (const RedactionProfile profile : kProfiles) {
    const Exit exit = decoded(profile);
    EXPECT_EQ(exit.name, "KVM_EXIT_MMIO");
    EXPECT_EQ(exit.find("mmio.phys_addr")->value, 0xfee000b0u);
    EXPECT_EQ(exit.find("mmio.phys_addr")->validity, Validity::kValid);
    EXPECT_EQ(exit.find("mmio.len")->value, 4u);
    EXPECT_EQ(exit.find("mmio.is_write")->value, 1u);
  }
  EXPECT_EQ(decoded(RedactionProfile::kPayload).find("cr8")->value, 0x5u);
  EXPECT_EQ(decoded(RedactionProfile::kRegs).find("cr8")->why, "redacted");
}

}  // namespace
}  // namespace kvmtape::testing
