// What `recover` makes of recordings in every state that a crash or a bad disk leaves.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "replayer/rewrite/record_writer.h"
#include "replayer/rewrite/trace_rewriter.h"
#include "schema/file_order.h"
#include "tests/support/scratch.h"
#include "tests/support/test_ring.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

// Rebuilds every chunk and changes nothing.
class ChangeNothing : public RecordEditor {
 public:
  void edit(Session&) override {}
  void edit(RecordedExit&) override {}
  bool edit(SideRecord&) override { return true; }
};

class RecoverTest : public ::testing::Test {
 protected:
  RecoverTest() {  // a sync of the disk for each of thousands of files takes minutes
    std::error_code error;
    if (std::filesystem::is_directory("/dev/shm", error)) ::setenv("TMPDIR", "/dev/shm", 1);
    scratch_.emplace();
    ::unsetenv("TMPDIR");
  }
  static TraceBuilder small_trace() {
    TraceBuilder trace;
    trace.add_exits(0, 6).add_exits(1, 3).cut().add_exits(0, 4).add_mark("mark").add_exits(1, 2);
    trace.seal();
    return trace;
  }
  std::string file(const std::string& name) const { return scratch_->file(name); }
  std::string saved() const { return file("saved.kvmtape"); }
  Result<RewriteTotals> rewrite(const std::string& path, RecordEditor* editor = nullptr) {
    auto reader = TraceReader::open(path);
    if (!reader) return reader.error();
    return rewrite_trace(**reader, {saved(), true, "a test", editor});
  }
  // Recovers a trace and holds what was saved against what a reader sees in the original.
  void expect_all_saved(const TraceBuilder& trace) {
    const std::string path = trace.write_to(file("t.kvmtape"));
    const SeenTrace before = read_all(path);
    const auto totals = rewrite(path);
    ASSERT_EQ(totals.ok(), !before.error) << (totals.ok() ? "" : totals.error().to_string());
    if (before.error) {
      ASSERT_FALSE(std::filesystem::exists(saved()));
      return;
    }
    const SeenTrace after = read_all(saved());
    ASSERT_FALSE(after.error);
    ASSERT_EQ(after.invented(), "");
    ASSERT_TRUE(after.health.sealed);
    ASSERT_EQ(after.health.damaged_chunks, 0u);
    ASSERT_EQ(after.health.open_end(), before.health.open_end()) << "no end closes by copying";
    for (uint32_t vcpu : {0u, 1u}) ASSERT_EQ(after.seqs(vcpu), before.seqs(vcpu));
    ASSERT_EQ(totals->exits(), before.exit_count());
    ASSERT_EQ(after.health.lost, before.health.lost);
    ASSERT_EQ(totals->exits_damaged + totals->exits_lost_before, before.health.lost);
    ASSERT_LE(totals->bytes_saved + totals->bytes_lost, std::filesystem::file_size(path));
    // Who has looked at it before counts the same.
    auto looked_at = TraceReader::open(path);
    ASSERT_TRUE(looked_at);
    (*looked_at)->check();
    const auto again = rewrite_trace(**looked_at, {saved(), true, "a test", nullptr});
    ASSERT_TRUE(again);
    ASSERT_EQ(again->bytes_lost, totals->bytes_lost);
    ASSERT_EQ(again->chunks_lost, totals->chunks_lost);
    std::filesystem::remove(saved());
  }
  // All bytes with KVMTAPE_FULL, one in seven without.
  static size_t step() { return std::getenv("KVMTAPE_FULL") != nullptr ? 1 : 7; }

  std::optional<ScratchDirectory> scratch_;
};

TEST_F(RecoverTest, intact_chunks_are_copied_byte_by_byte) {
  TraceBuilder trace = small_trace();
  const auto totals = rewrite(trace.write_to(file("t.kvmtape")));
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->chunks_copied, 5u) << "four of vCPUs and the session's";
  EXPECT_EQ(totals->chunks_rebuilt, 0u);
  EXPECT_EQ(totals->exits_damaged, 0u);
  EXPECT_EQ(totals->bytes_lost, 0u);
  const auto& from = trace.bytes();
  const auto to = file_bytes(saved());
  for (size_t i = 0; i < 4; ++i) {
    const auto begin = from.begin() + static_cast<ptrdiff_t>(trace.offset_of(ChunkType::kExits, i));
    auto header = load_file_struct<ChunkHeader>(&*begin);
    const auto end = begin + header.header_bytes + header.body_bytes;
    EXPECT_NE(std::search(to.begin(), to.end(), begin, end), to.end()) << i;
  }
}

TEST_F(RecoverTest, the_header_says_what_was_done_and_names_no_rings_any_more) {
  TraceBuilder trace(file("rings"));
  trace.add_exits(0, 2).seal();
  ASSERT_TRUE(rewrite(trace.write_to(file("t.kvmtape"))));
  auto reader = TraceReader::open(saved());
  ASSERT_TRUE(reader);
  EXPECT_THAT((*reader)->session().history, ::testing::ElementsAre("a test"));
  EXPECT_EQ((*reader)->session().ring_directory, "");
  EXPECT_EQ((*reader)->session().kernel_release, "6.1.0-test");
}

TEST_F(RecoverTest, a_trace_cut_anywhere_is_saved_up_to_there) {
  const TraceBuilder whole = small_trace();
  for (size_t size = 0; size <= TraceBuilder(whole).bytes().size(); size += step()) {
    SCOPED_TRACE(size);
    TraceBuilder trace = whole;
    expect_all_saved(trace.truncate_at(size));
    if (HasFatalFailure()) return;
  }
}

TEST_F(RecoverTest, a_copy_of_a_copy_still_says_that_the_end_was_torn) {
  TraceBuilder trace = small_trace();
  const uint64_t last = trace.offset_of(ChunkType::kExits, 3);
  ASSERT_TRUE(rewrite(trace.truncate_at(last + 200).write_to(file("t.kvmtape"))));
  std::filesystem::rename(saved(), file("copy.kvmtape"));
  ChangeNothing redactor;
  ASSERT_TRUE(rewrite(file("copy.kvmtape"), &redactor));
  for (const std::string& path : {file("copy.kvmtape"), saved()}) {
    const TraceHealth health = read_all(path).health;
    EXPECT_TRUE(health.sealed);
    EXPECT_EQ(health.torn_at, std::nullopt);
    EXPECT_EQ(health.open_end(), OpenEnd::kTorn);
    EXPECT_FALSE(health.complete());
  }
}

TEST_F(RecoverTest, a_flipped_byte_anywhere_costs_its_chunk_and_no_more) {
  const TraceBuilder whole = small_trace();
  for (size_t at = 0; at < TraceBuilder(whole).bytes().size(); at += step()) {
    SCOPED_TRACE(at);
    TraceBuilder trace = whole;
    expect_all_saved(trace.flip_byte(at));
    if (HasFatalFailure()) return;
  }
}

TEST_F(RecoverTest, a_damaged_chunk_becomes_a_gap_that_says_so) {
  TraceBuilder trace = small_trace();
  trace.flip_byte(trace.offset_of(ChunkType::kExits) + 150);
  const auto totals = rewrite(trace.write_to(file("t.kvmtape")));
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->exits_damaged, 6u);
  EXPECT_EQ(totals->exits_from_file, 9u);
  EXPECT_EQ(totals->chunks_lost, 1u);
  EXPECT_EQ(totals->bytes_lost,
            trace.offset_of(ChunkType::kExits, 1) - trace.offset_of(ChunkType::kExits));
  const SeenTrace after = read_all(saved());
  ASSERT_EQ(after.gaps(0).size(), 1u);
  EXPECT_EQ(after.gaps(0)[0].first_seq, 0u);
  EXPECT_EQ(after.gaps(0)[0].lost, 6u);
  EXPECT_EQ(after.gaps(0)[0].why, GapReason::kDamaged);
}

TEST_F(RecoverTest, rings_left_behind_are_in_the_file_afterwards) {
  const std::string rings = file("rings");
  std::filesystem::create_directory(rings);
  TraceBuilder trace(rings);
  TestRing ring(rings, trace.session(), 0);
  ring.add_exits(10);
  trace.add_exits(0, 10).ring_position(0, ring.block(), ring.bytes()).cut();
  ring.add_exits(25).add_exit_without_answer();
  ring.header()->writer_pid = 0;  // as of a monitor that is gone
  const auto totals = rewrite(trace.write_to(file("t.kvmtape")));
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->exits_from_file, 10u);
  EXPECT_EQ(totals->exits_from_rings, 26u);
  std::filesystem::remove_all(rings);
  const SeenTrace after = read_all(saved());
  EXPECT_TRUE(after.health.complete());
  EXPECT_EQ(after.exit_count(), 36u);
}

TEST_F(RecoverTest, while_the_monitor_still_runs_the_end_that_was_saved_is_open) {
  const std::string rings = file("rings");
  std::filesystem::create_directory(rings);
  TraceBuilder trace(rings);
  TestRing ring(rings, trace.session(), 0);  // this process made it
  ring.add_exits(10);
  ASSERT_TRUE(rewrite(trace.write_to(file("t.kvmtape"))));
  const TraceHealth health = read_all(saved()).health;
  EXPECT_EQ(health.file_exits, 10u);
  EXPECT_EQ(health.open_end(), OpenEnd::kUnsealed);
}

TEST_F(RecoverTest, the_recording_that_is_read_is_never_replaced) {
  TraceBuilder trace = small_trace();
  const std::string path = trace.write_to(file("t.kvmtape"));
  auto reader = TraceReader::open(path);
  ASSERT_TRUE(reader);
  const auto totals = rewrite_trace(**reader, {path, true, "", nullptr});
  ASSERT_FALSE(totals);
  EXPECT_EQ(totals.error().code, ErrorCode::kUsage);
  EXPECT_EQ(file_bytes(path), trace.bytes());
}

TEST_F(RecoverTest, a_link_is_never_followed_and_a_file_of_another_never_replaced) {
  const std::string path = small_trace().write_to(file("t.kvmtape"));
  write_file(file("precious"), std::vector<uint8_t>{1});
  std::filesystem::create_symlink(file("precious"), saved());
  EXPECT_FALSE(rewrite(path)) << "with force";
  EXPECT_EQ(file_bytes(file("precious")).size(), 1u);
  std::filesystem::remove(saved());
  ASSERT_TRUE(rewrite(path));
  const auto mode = std::filesystem::status(saved()).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto reader = TraceReader::open(path);
  EXPECT_EQ(rewrite_trace(**reader, {saved(), false, "", nullptr}).error().code, ErrorCode::kUsage);
}

TEST_F(RecoverTest, rebuilt_chunks_say_what_they_said) {
  TraceBuilder trace;
  trace.add_exits(0, 5).add_record(0, RecordKind::kRepeat, 0, {4, 3, 1, 2, 1, 1});
  trace.add_record(0, RecordKind::kRegisters, 0, {1, 8, 77}).add_gap(0, 4, GapReason::kRingFull);
  trace.add_exits(1, 4).add_mark("a mark").seal();
  const std::string path = trace.write_to(file("t.kvmtape"));
  ChangeNothing editor;
  const auto totals = rewrite(path, &editor);
  ASSERT_TRUE(totals);
  EXPECT_EQ(totals->chunks_copied, 0u);
  EXPECT_EQ(totals->exits_lost_before, 4u);
  const SeenTrace before = read_all(path), after = read_all(saved());
  EXPECT_EQ(after.invented(), "");
  ASSERT_EQ(after.items.size(), before.items.size());
  for (size_t i = 0; i < before.items.size(); ++i) {
    const SeenItem &a = before.items[i], &b = after.items[i];
    EXPECT_EQ(a.kind, b.kind) << i;
    EXPECT_EQ(std::tie(a.vcpu, a.seq, a.time_ns, a.guest_ns, a.monitor_ns, a.mark, a.record),
              std::tie(b.vcpu, b.seq, b.time_ns, b.guest_ns, b.monitor_ns, b.mark, b.record))
        << i;
    EXPECT_EQ(a.gap.lost, b.gap.lost) << i;
    EXPECT_EQ(a.repeat.count, b.repeat.count) << i;
  }
}

TEST_F(RecoverTest, records_with_a_sync_area_survive_the_way_there_and_back) {
  const StreamDescription stream{0, 0, Architecture::kX86_64, ByteOrder::kLittle};
  std::vector<uint8_t> first(kRunBytesMax - 16), second(first.size());
  for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<uint8_t>(i * 7 + i / 256);
  second = first;
  second[500] ^= 1;  // in the sync area
  second[40] ^= 1;
  RecordedExit exit;
  exit.tsc = 100;
  exit.kvm_run = first;
  exit.has_answer = true;
  exit.answer_tsc = 150;
  exit.answer_kvm_run = second;
  RecordWriter writer(kCoreWords);
  writer.add(exit);
  writer.finish();
  ChunkEncoder encoder(stream);
  ASSERT_EQ(encoder.add(writer.words(), true), writer.words().size());
  std::vector<uint8_t> chunk;
  ASSERT_TRUE(encoder.finish({}, chunk));
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.open(chunk));
  ASSERT_TRUE(decoder.begin());
  ASSERT_EQ(decoder.next(), ChunkDecoder::Item::kExit);
  EXPECT_TRUE(std::ranges::equal(decoder.exit().kvm_run, first));
  EXPECT_TRUE(std::ranges::equal(decoder.exit().answer_kvm_run, second));
}

}  // namespace
}  // namespace kvmtape::testing
