#include "analysis/stat.h"

#include <gmock/gmock.h>

#include "analysis/address_map.h"
#include "analysis/exit_key.h"
#include "tests/support/kvm_run_page.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"
#include "tests/support/test_ring.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class StatTest : public ::testing::Test {
 protected:
  template <typename Trace>
  std::unique_ptr<TraceReader> open(Trace& trace) {
    auto reader = TraceReader::open(trace.write_to(scratch_.file("t.kvmtape")));
    EXPECT_TRUE(reader.ok());
    return std::move(*reader);
  }
  // KVM_SET_USER_MEMORY_REGION of a slot, as the recorder writes it.
  static void set_slot(TraceBuilder& trace, uint64_t slot, uint64_t flags, uint64_t base,
                       uint64_t bytes, uint64_t error = 0) {
    constexpr uint64_t kVmDescriptor = 2, kRequest = 0x4020ae46;
    trace.add_record(kSessionStream, RecordKind::kControlCall, 0,
                     {kVmDescriptor | kRequest << 32, 0, 0, error | 32ull << 32, 0,
                      slot | flags << 32, base, bytes, 0x7f0000000000});
  }
  static uint64_t exits_in_rows(const Stat& stat) {
    uint64_t exits = 0;
    for (const StatRow& row : stat.rows)
      if (row.key.empty()) exits += row.count;
    return exits;
  }

  ScratchDirectory scratch_;
};

TEST_F(StatTest, EachVcpuHasRowsOfItsOwnAndItsLostExits) {
  TraceBuilder trace;
  trace.add_exits(0, 5).add_gap(0, 7, GapReason::kRingFull).add_exits(0, 1).add_exits(1, 3).seal();
  const auto reader = open(trace);
  for (const StatKeys keys : {StatKeys::kAll, StatKeys::kNone}) {
    StatOptions options;
    options.keys = keys;
    options.by_vcpu = true;
    const Stat stat = count_exits(*reader, options);
    std::map<uint32_t, uint64_t> exits;
    for (const StatRow& row : stat.rows)
      if (row.key.empty()) exits[row.vcpu.value()] += row.count;
    EXPECT_THAT(exits, ElementsAre(Pair(0, 6), Pair(1, 3)));
    EXPECT_THAT(stat.lost_of, ElementsAre(Pair(0, 7)));
  }
}

TEST_F(StatTest, RatesOfASnapshotAreOfTheTimeThatItHolds) {
  TraceBuilder trace;
  trace.edit_session().trigger = "end of the recording";
  trace.add_exits(3, 50).seal();
  const auto reader = open(trace);
  Item first;
  ASSERT_TRUE(reader->next(first));
  ASSERT_GT(first.time_ns, 0);
  reader->rewind();
  for (const StatKeys keys : {StatKeys::kAll, StatKeys::kNone}) {
    StatOptions options;
    options.keys = keys;
    const Stat stat = count_exits(*reader, options);
    EXPECT_EQ(stat.from_ns, first.time_ns);
    EXPECT_EQ(stat.to_ns, reader->duration_ns());
  }
  count_intervals(*reader, {}, reader->duration_ns() + 1, [&](const Stat& stat) {
    EXPECT_EQ(stat.from_ns, first.time_ns);
    return true;
  });
}

TEST_F(StatTest, IntervalsAddUpToTheWhole) {
  TraceBuilder trace;
  trace.add_exits(0, 50).add_exits(1, 30).seal();
  const auto reader = open(trace);
  uint64_t exits = 0, intervals = 0;
  int64_t end = 0;
  count_intervals(*reader, {}, reader->duration_ns() / 4, [&](const Stat& stat) {
    EXPECT_GE(stat.from_ns, end);
    EXPECT_LE(stat.to_ns - stat.from_ns, reader->duration_ns() / 4);
    EXPECT_LE(stat.to_ns, reader->duration_ns());
    EXPECT_EQ(stat.exits, exits_in_rows(stat));
    end = stat.to_ns;
    exits += stat.exits;
    ++intervals;
    return true;
  });
  EXPECT_EQ(exits, 80u);
  EXPECT_GE(intervals, 4u);
}

TEST_F(StatTest, IntervalsEndWithTheRecordingAndTheSelection) {
  SyntheticTrace trace;
  trace.intel();
  for (int i = 0; i < 5; ++i) trace.wait_ns(1'000'000'000).out(0x80, {1});
  const auto reader = open(trace.wait_ns(250'000'000));
  const auto intervals = [&](const Selection& selection) {
    StatOptions options;
    options.selection = selection;
    std::vector<std::pair<int64_t, int64_t>> all;
    count_intervals(*reader, options, 2'000'000'000, [&](const Stat& stat) {
      all.emplace_back(stat.from_ns, stat.to_ns);
      return true;
    });
    return all;
  };
  constexpr int64_t kSecond = 1'000'000'000;
  EXPECT_THAT(intervals({}), ElementsAre(Pair(0, 2 * kSecond), Pair(2 * kSecond, 4 * kSecond),
                                         Pair(4 * kSecond, reader->recorded_ns())));
  Selection selection;
  selection.time_ns = {kSecond / 2, 3 * kSecond + kSecond / 2};
  EXPECT_THAT(intervals(selection), ElementsAre(Pair(kSecond / 2, 2 * kSecond),
                                                Pair(2 * kSecond, 3 * kSecond + kSecond / 2)));
}

TEST_F(StatTest, ARunningRecordingIsCountedOnceAndWaitsForAnswers) {
  TraceBuilder trace(scratch_.path());
  const std::string path = trace.write_to(scratch_.file("running.kvmtape"));
  TestRing ring(scratch_.path(), trace.session(), 0);
  StatProgress progress;
  const auto new_exits = [&] {
    const auto reader = TraceReader::open(path);
    EXPECT_TRUE(reader.ok());
    const Stat stat = count_new_exits(**reader, {}, progress);
    EXPECT_EQ(stat.exits, exits_in_rows(stat));
    return stat.exits;
  };
  ring.add_exits(5);
  EXPECT_EQ(new_exits(), 5u);
  EXPECT_EQ(new_exits(), 0u);
  ring.add_exit_without_answer();
  EXPECT_EQ(new_exits(), 0u);
  ring.add_exits(2);
  EXPECT_EQ(new_exits(), 3u);
}

TEST_F(StatTest, ARunOfRepeatsThatGrowsIsCountedOnce) {
  StatProgress progress;
  const auto new_exits = [&](uint64_t repeats) {
    TraceBuilder trace;
    trace.add_exits(0, 8).add_record(0, RecordKind::kRepeat, 0, {7, repeats, 0, 0, 0, 0}).seal();
    const auto reader = open(trace);
    return count_new_exits(*reader, {}, progress).exits;
  };
  EXPECT_EQ(new_exits(4), 12u);
  EXPECT_EQ(new_exits(4), 0u);
  EXPECT_EQ(new_exits(9), 5u);
}

// What was left behind in exit_reason is nobody's.
TEST_F(StatTest, FailuresOfOneErrnoAreOneRowWhateverReasonWasLeftBehind) {
  TraceBuilder trace;
  for (const uint8_t reason : std::initializer_list<uint8_t>{2, 6, 6, 10}) {
    TraceBuilder::GivenExit exit;
    exit.run.assign(kCoreWords * kWordBytes, 0);
    exit.run[8] = reason;
    exit.ret = -4;
    exit.tsc = 2'000'000;
    exit.answered = false;
    trace.add_exit(0, exit);
  }
  trace.seal();
  const auto reader = open(trace);
  for (const StatKeys keys : {StatKeys::kAll, StatKeys::kNone}) {
    StatOptions options;
    options.keys = keys;
    const Stat stat = count_exits(*reader, options);
    ASSERT_EQ(stat.rows.size(), 2u);
    EXPECT_EQ(stat.rows[0].exit, "KVM_RUN EINTR");
    EXPECT_EQ(stat.rows[0].count, 3u);
    EXPECT_EQ(stat.rows[1].exit, "KVM_EXIT_INTR");
  }
}

TEST_F(StatTest, AnAddressIsNamedByTheSlotThatTheMonitorSet) {
  TraceBuilder trace;
  set_slot(trace, 3, 2, 0xfffc0000, 0x40000);
  set_slot(trace, 4, 0, 0x1000, 0x1000);
  set_slot(trace, 4, 0, 0x1000, 0);  // taken away again
  set_slot(trace, 5, 0, 0x8000, 0x1000, 22);
  trace.add_exits(0, 1).seal();
  const AddressMap addresses(*open(trace));
  EXPECT_EQ(addresses.name_of(0xfffc0555), "read-only slot 3+0x555");
  EXPECT_EQ(addresses.name_of(0xfee000b0), "local APIC+0xb0");
  EXPECT_EQ(addresses.name_of(0x1000), "");
  EXPECT_EQ(addresses.name_of(0x8000), "");
}

void add_mmio_writes(SyntheticTrace& trace, uint64_t address, uint64_t stride, int count) {
  for (int i = 0; i < count; ++i, address += stride) trace.mmio_write(address, {1, 0, 0, 0});
}

TEST_F(StatTest, RareAddressesOfOnePlaceAreOneRowIfThereAreTooMany) {
  SyntheticTrace trace;
  add_mmio_writes(trace, 0xa0149, 0x14a, 300);
  add_mmio_writes(trace, 0xfee000b0, 0, 100);
  add_mmio_writes(trace, 0xd0000000, 4, 3);
  add_mmio_writes(trace, 0xe0000010, 0, 1);
  const auto reader = open(trace);
  const auto keys = [&](size_t addresses_max, StatSort sort) {
    const Stat stat =
        count_exits(*reader, {.selection = {}, .sort = sort, .addresses_max = addresses_max});
    std::vector<std::pair<std::string, uint64_t>> found;
    for (const StatRow& row : stat.rows)
      if (!row.key.empty()) found.emplace_back(row.key, row.count);
    return found;
  };
  EXPECT_THAT(keys(10, StatSort::kCount),
              ElementsAre(Pair("mmio VGA memory, 300 addresses", 300),
                          Pair("mmio 0xfee000b0 local APIC+0xb0", 100),
                          Pair("mmio 0xd0000xxx, 3 addresses", 3), Pair("mmio 0xe0000010", 1)));
  constexpr size_t kAll = 305;
  EXPECT_EQ(keys(kAll, StatSort::kCount).size(), kAll);
  EXPECT_EQ(keys(0, StatSort::kCount).size(), kAll);
  EXPECT_EQ(keys(10, StatSort::kMax).size(), kAll) << "the worst one is one address";
}

TEST(ExitKey, OfASyndromeItIsTheExceptionClass) {
  constexpr uint32_t kDebug = 4;
  KvmRunPage page(context_of(Architecture::kAarch64, "6.1.0"));
  page.reason(kDebug).ret(0).in_union(0, uint32_t{0xf2001234});
  const auto key = exit_key(page.decoded());
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(exit_key_text(Architecture::kAarch64, kDebug, *key), "ec 0x3c BRK64");
  EXPECT_EQ(key_kind(kDebug), KeyKind::kEc);
}

TEST(Histogram, DecadesHoldEveryValueWhereItBelongs) {
  Histogram times;
  for (const uint64_t value : {0ull, 50ull, 150ull, 5000ull, 2000000ull, 30000000000ull})
    times.add(value);
  EXPECT_THAT(times.by_decade(), ElementsAre(2, 1, 1, 0, 0, 1, 0, 0, 1));
}

TEST(Histogram, OfTwoIsThatOfAllTheirValues) {
  Histogram all, one, other;
  for (uint64_t value = 1; value < 1'000'000'000'000; value = value * 3 + 1) {
    all.add(value);
    (value % 2 == 0 ? one : other).add(value);
  }
  one.add(other);
  one.add(Histogram());
  EXPECT_EQ(one.count(), all.count());
  EXPECT_EQ(one.total(), all.total());
  EXPECT_EQ(one.min(), all.min());
  EXPECT_EQ(one.max(), all.max());
  EXPECT_EQ(one.by_decade(), all.by_decade());
  for (const double share : {0.1, 0.5, 0.99}) EXPECT_EQ(one.quantile(share), all.quantile(share));
}

}  // namespace
}  // namespace kvmtape::testing
