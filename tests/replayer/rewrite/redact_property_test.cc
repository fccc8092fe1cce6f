// Two recordings that differ in nothing but what a profile removes, and there in every byte, become
// the same file, byte by byte: so nothing that was removed is anywhere in it, whole or in part, nor
// anything that was made of it. Random values; every architecture, every exit, every profile.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

#include "replayer/rewrite/record_writer.h"
#include "replayer/rewrite/redactor.h"
#include "schema/base/byte_cursor.h"
#include "schema/file_order.h"
#include "tests/support/architectures.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using Bytes = std::vector<uint8_t>;

int seeds_wanted() { return std::getenv("KVMTAPE_FULL") != nullptr ? 20 : 3; }

// Writes two recordings at once.
class Twins {
 public:
  Twins(const DecodeContext& context, RedactionProfile profile, uint64_t seed)
      : random_(seed),
        context_(context),
        profile_(profile),
        decoder_(context),
        core_bytes_(size_t{core_words_of(context.architecture)} * kWordBytes),
        writers_{RecordWriter(core_words_of(context.architecture)),
                 RecordWriter(core_words_of(context.architecture))} {
    for (uint32_t reason = 0; reason <= 46; ++reason)
      for (int variant = 0; variant < 3; ++variant) add_exit(reason);
    add_sides();
  }

  // One of the two, as a file.
  Bytes trace(int twin) {
    const StreamDescription stream{0, 0, context_.architecture, context_.byte_order};
    ChunkEncoder encoder(stream);
    writers_[twin].finish();
    EXPECT_EQ(encoder.add(writers_[twin].words(), true), writers_[twin].words().size());
    Session session;
    session.uuid.bytes[0] = 7;
    session.architecture = context_.architecture;
    session.monitor_command = twin == 0 ? "vmm -append root" : "vmm -append password=x";
    if (profile_ == RedactionProfile::kStrict) session.host_name = twin == 0 ? "a" : "another";
    const auto header = file_bytes_of(make_file_header(session.uuid));
    Bytes bytes(header.begin(), header.end()), chunk;
    encode_session(session, chunk);
    bytes.insert(bytes.end(), chunk.begin(), chunk.end());
    encoder.finish({session.uuid, 0, {}, 1'000'000'000, 0, 0}, chunk);
    bytes.insert(bytes.end(), chunk.begin(), chunk.end());
    return bytes;
  }

 private:
  Bytes random_bytes(size_t size) {
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random_());
    return bytes;
  }
  // Another value in each byte from `at` on.
  Bytes changed(Bytes bytes, size_t at = 0) {
    for (; at < bytes.size(); ++at) bytes[at] ^= static_cast<uint8_t>(1 + random_() % 255);
    return bytes;
  }
  bool keeps_field(const Field& field) const { return keeps(profile_, field.sensitivity); }

  // Random, but selectors get values that lead somewhere now and then.
  Bytes random_run(uint32_t reason) {
    Bytes run = random_bytes(core_bytes_ + kSyncWords * kWordBytes);
    uint8_t* area = run.data() + core_bytes_ - 256;  // the union
    if (random_() % 2 == 0) {
      store_le(area, static_cast<uint32_t>(1 + random_() % 3));
      store_le(area + 4, uint32_t{3});  // ndata
    }
    if (random_() % 2 == 0) area[1] = 1;                       // io.size
    if (random_() % 2 == 0) store_le(area + 16, uint32_t{8});  // mmio.len
    store_le(run.data() + 8, reason);
    return run;
  }
  // Which bytes of kvm_run the profile keeps.
  std::vector<bool> kept_in(const Bytes& run, const Bytes& data, bool answered) {
    Exit exit;
    decoder_.decode({run, data, 0, true, answered}, exit);
    std::vector<bool> kept(run.size());
    const auto mark = [&](size_t at, size_t bytes, bool keep) {
      for (size_t i = at; i < std::min(at + bytes, core_bytes_); ++i) kept[i] = keep;
    };
    for (const Field& field : exit.all_fields())
      if (!field.in_data && field.validity == Validity::kValid && keeps_field(field))
        mark(field.offset, field.bytes, true);
    for (const Field& field : exit.all_fields())
      if (!field.in_data && !keeps_field(field)) mark(field.offset, field.bytes, false);
    mark(8, 4, true);   // exit_reason
    mark(14, 2, true);  // flags
    for (size_t i = core_bytes_; i < run.size(); ++i)
      kept[i] = keeps(profile_, Sensitivity::kRegister);
    return kept;
  }
  struct Runs {
    Bytes one, other;
  };
  // Two with another value wherever the profile keeps nothing. What is kept hangs on what may be
  // believed, and that on values, some of which KVM never writes, a flag of 7: both are of one
  // kind. Where none but few values are of that kind, another one is taken.
  Runs twin_runs(uint32_t reason, const Bytes& data, bool answered) {
    for (;;) {
      const Bytes run = random_run(reason);
      const std::vector<bool> kept = kept_in(run, data, answered);
      for (int attempt = 0; attempt < 20; ++attempt) {
        Bytes twin = changed(run);
        for (size_t i = 0; i < run.size(); ++i)
          if (kept[i]) twin[i] = run[i];
        if (kept_in(twin, data, answered) != kept) continue;
        removed_ += static_cast<uint64_t>(std::count(kept.begin(), kept.end(), false));
        return {run, twin};
      }
    }
  }
  void add_exit(uint32_t reason) {
    const Bytes data = random_bytes(64), answer_data = random_bytes(64);
    const Runs exit = twin_runs(reason, data, false);
    const Runs answer = twin_runs(reason, answer_data, true);
    tsc_ += 100;
    write(writers_[0], {exit.one, data, answer.one, answer_data});
    write(writers_[1], {exit.other, changed(data), answer.other, changed(answer_data)});
  }
  struct BothMoments {
    Bytes run, data, answer, answer_data;
  };
  void write(RecordWriter& writer, const BothMoments& moments) {
    RecordedExit exit;
    exit.tsc = tsc_;
    exit.kvm_run = moments.run;
    exit.data = moments.data;
    exit.has_answer = true;
    exit.answer_tsc = tsc_ + 10;
    exit.answer_kvm_run = moments.answer;
    exit.answer_data = moments.answer_data;
    writer.add(exit);
  }

  void add_side(RecordKind kind, const Bytes& payload, const Bytes& twin) {
    for (const auto& [writer, bytes] : {std::pair(&writers_[0], &payload), {&writers_[1], &twin}}) {
      SideRecord side;
      side.kind = kind;
      side.tsc = tsc_;
      side.payload = *bytes;
      writer->add(side);
    }
  }
  // Heads, and behind each `body` bytes, of which the twins have none in common.
  template <typename Head>
  void add_side(RecordKind kind, const Head& head, const Head& twin, size_t body) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&head);
    Bytes payload(bytes, bytes + sizeof head);
    const Bytes values = random_bytes(body);
    payload.insert(payload.end(), values.begin(), values.end());
    Bytes other = changed(payload, sizeof head);
    std::memcpy(other.data(), &twin, sizeof twin);
    add_side(kind, payload, other);
  }
  void add_call(uint32_t request, bool keeps_argument) {
    ControlCallRecord call{};
    call.request = request;
    call.argument = random_();
    call.in_bytes = 64;
    ControlCallRecord other = call;
    if (!keeps_argument) other.argument = random_();
    add_side(RecordKind::kControlCall, call, other, 64);
  }
  void add_sides() {
    const bool keeps_registers = keeps(profile_, Sensitivity::kRegister);
    const bool strict = profile_ == RedactionProfile::kStrict;
    constexpr auto kMsrs = static_cast<uint16_t>(RegisterSet::kMsrs);
    for (uint16_t set = keeps_registers ? kMsrs : 1; set <= kMsrs + 1; ++set) {
      RegistersRecord head{};
      head.set = set;
      head.bytes = 64;
      add_side(RecordKind::kRegisters, head, head, 64);
    }
    MemorySliceRecord slice{};
    slice.guest_physical = random_();
    slice.guest_virtual = random_();
    slice.bytes = 64;
    MemorySliceRecord other_slice = slice;
    if (!keeps_registers) other_slice.guest_virtual = random_();
    add_side(RecordKind::kMemorySlice, slice, other_slice, 64);
    // A number, a pointer, what a register held; a pointer of a call that says it takes a number.
    add_call(0xae41, !strict);
    for (const uint32_t request : {0x4020ae46u, 0x4080aea2u, 0xae60u, 0x2000ae71u})
      add_call(request, false);
    const Bytes text = random_bytes(24);
    add_side(RecordKind::kMark, text, strict ? changed(text) : text);
    add_side(static_cast<RecordKind>(40), text, changed(text));
  }

 public:
  uint64_t removed() const { return removed_; }

 private:
  std::mt19937_64 random_;
  DecodeContext context_;
  RedactionProfile profile_;
  ExitDecoder decoder_;
  size_t core_bytes_;
  RecordWriter writers_[2];
  uint64_t tsc_ = 1000;
  uint64_t removed_ = 0;
};

class RedactProperty : public ::testing::TestWithParam<Architecture> {
 protected:
  Bytes redacted(const Bytes& trace, const DecodeContext& context, RedactionProfile profile) {
    const std::string from = scratch_.file("from"), to = scratch_.file("to");
    write_file(from, trace);
    auto reader = TraceReader::open(from);
    EXPECT_TRUE(reader.ok());
    if (!reader.ok()) return {};
    Redactor redactor(context, profile);
    const auto totals = rewrite_trace(**reader, {to, true, "redacted", &redactor});
    EXPECT_TRUE(totals.ok());
    if (totals.ok()) {
      EXPECT_EQ(totals->exits(), 47u * 3u);
    }
    return file_bytes(to);
  }
  ScratchDirectory scratch_;
};

TEST_P(RedactProperty, WhatIsRemovedHasNoTraceInAnyByteOfTheFile) {
  DecodeContext context;
  context.architecture = GetParam();
  context.kernel = parse_kernel_release("6.12.0");
  std::random_device entropy;
  for (int i = 0; i < seeds_wanted(); ++i)
    for (const RedactionProfile profile :
         {RedactionProfile::kPayload, RedactionProfile::kRegs, RedactionProfile::kStrict}) {
      const uint64_t seed = entropy();
      SCOPED_TRACE(std::string(to_string(profile)) + ", seed " + std::to_string(seed));
      Twins twins(context, profile, seed);
      const Bytes first = twins.trace(0), second = twins.trace(1);
      ASSERT_NE(first, second);
      ASSERT_GT(twins.removed(), 47u * 3u * 200u) << "the test shows nothing";
      ASSERT_TRUE(redacted(first, context, profile) == redacted(second, context, profile));
    }
}

INSTANTIATE_TEST_SUITE_P(Architectures, RedactProperty, ::testing::ValuesIn(kArchitectures),
                         architecture_suffix);

}  // namespace
}  // namespace kvmtape::testing
