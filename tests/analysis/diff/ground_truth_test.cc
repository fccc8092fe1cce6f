// `compare` against a known truth: whole recordings of four vCPUs in which exits were dropped,
// inserted, changed, or moved to another vCPU, at places that the test knows.
#include <gmock/gmock.h>

#include <random>
#include <set>
#include <tuple>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

constexpr uint32_t kVcpus = 4;
constexpr size_t kExits = 1500;  // of each
constexpr uint32_t kEvery = 50;  // one of so many is edited
constexpr uint64_t kNone = ~uint64_t{0};

// A console, a disk with rising sectors, a status register that is polled, halts.
struct Sent {
  enum class Kind : uint8_t { kConsole, kStatus, kSector, kHalt } kind;
  uint32_t value;
};

Sent any(std::mt19937& random, uint32_t& sector) {
  const auto dice = static_cast<uint32_t>(random() % 10);
  if (dice < 4) return {Sent::Kind::kConsole, ' ' + static_cast<uint32_t>(random() % 90)};
  if (dice < 6) return {Sent::Kind::kStatus, 0x60};
  if (dice < 9) return {Sent::Kind::kSector, sector += 8};
  return {Sent::Kind::kHalt, 0};
}

void put(SyntheticTrace& trace, uint32_t vcpu, const Sent& sent) {
  trace.on(vcpu);
  switch (sent.kind) {
    case Sent::Kind::kConsole:
      trace.out(0x3f8, {static_cast<uint8_t>(sent.value)});
      return;
    case Sent::Kind::kStatus:
      trace.in(0x3fd, {static_cast<uint8_t>(sent.value)});
      return;
    case Sent::Kind::kSector: {
      std::vector<uint8_t> bytes(4);
      store_le(bytes.data(), sent.value);
      trace.mmio_write(0xfebf0000, bytes);
      return;
    }
    case Sent::Kind::kHalt:
      trace.hlt(true);
      return;
  }
}

using Streams = std::vector<std::vector<Sent>>;  // by vCPU
// Kind, vCPU, sequence in A and in B.
using Truth = std::set<std::tuple<ChangeKind, uint32_t, uint64_t, uint64_t>>;

Streams original() {
  std::mt19937 random(7);
  Streams streams(kVcpus);
  uint32_t sector = 0x1000;
  for (auto& stream : streams)
    for (size_t i = 0; i < kExits; ++i) stream.push_back(any(random, sector));
  return streams;
}

// Edits of exits that no other is like: else nobody could say which one is missing.
enum class Edits : uint8_t { kDropped, kInserted, kChanged, kMoved };
struct Edited {
  Streams streams{kVcpus};
  Truth truth;
};

Edited edited(const Streams& from, Edits edits) {
  constexpr uint64_t kApart = 4;  // exits between edits: else one may be told as part of the other
  std::mt19937 random(static_cast<uint32_t>(edits) + 1);
  Edited result;
  uint64_t next_edit = 0;
  for (uint64_t seq = 0; seq < kExits; ++seq) {
    for (uint32_t vcpu = 0; vcpu < kVcpus; ++vcpu) {
      auto& to = result.streams[vcpu];
      const Sent sent = from[vcpu][seq];
      const bool edit =
          seq >= next_edit && sent.kind == Sent::Kind::kSector && random() % kEvery == 0;
      if (!edit) {
        to.push_back(sent);
        continue;
      }
      next_edit = seq + kApart;
      const Sent other{Sent::Kind::kSector, 0x10000000 + static_cast<uint32_t>(random() % 1000000)};
      switch (edits) {
        case Edits::kDropped:
          result.truth.insert({ChangeKind::kMissing, vcpu, seq, kNone});
          break;
        case Edits::kInserted:
          to.push_back(sent);
          result.truth.insert({ChangeKind::kExtra, vcpu, kNone, to.size()});
          to.push_back(other);
          break;
        case Edits::kChanged:
          result.truth.insert({ChangeKind::kChanged, vcpu, seq, to.size()});
          to.push_back(other);
          break;
        case Edits::kMoved:  // behind what the next vCPU has so far
          result.truth.insert({ChangeKind::kMissing, vcpu, seq, kNone});
          auto& next = result.streams[(vcpu + 1) % kVcpus];
          result.truth.insert({ChangeKind::kExtra, (vcpu + 1) % kVcpus, kNone, next.size()});
          next.push_back(sent);
          break;
      }
    }
  }
  return result;
}

class GroundTruth : public ::testing::Test {
 protected:
  // `burst` exits of a vCPU follow one another in time, then come the next one's.
  std::unique_ptr<TraceReader> recorded(const Streams& streams, size_t burst = 1) {
    SyntheticTrace trace;
    trace.intel();
    std::vector<size_t> next(streams.size());
    for (bool any = true; any;) {
      any = false;
      for (uint32_t vcpu = 0; vcpu < streams.size(); ++vcpu)
        for (size_t i = 0; i < burst && next[vcpu] < streams[vcpu].size(); ++i, any = true)
          put(trace, vcpu, streams[vcpu][next[vcpu]++]);
    }
    auto opened = TraceReader::open(trace.write_to(scratch_.file(std::to_string(++files_))));
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }

  static Truth found(const Diff& diff) {
    Truth all;
    for (const ExitChange& change : diff.changes)
      all.insert({change.kind, change.vcpu,
                  change.kind == ChangeKind::kExtra ? kNone : change.a.seq,
                  change.kind == ChangeKind::kMissing ? kNone : change.b.seq});
    return all;
  }

  ScratchDirectory scratch_;
  int files_ = 0;
};

TEST_F(GroundTruth, EditsOfEveryKindAreFoundWhereTheyWereMade) {
  const Streams streams = original();
  const auto a = recorded(streams);
  for (const Edits edits : {Edits::kDropped, Edits::kInserted, Edits::kChanged, Edits::kMoved}) {
    const Edited to = edited(streams, edits);
    const auto b = recorded(to.streams);
    const auto diff = compare(*a, *b, {});
    ASSERT_TRUE(diff.ok());
    ASSERT_GT(to.truth.size(), 20u);
    const Truth all = found(*diff);
    const auto right = static_cast<size_t>(
        std::ranges::count_if(to.truth, [&](const auto& edit) { return all.contains(edit); }));
    EXPECT_GE(100 * right, 99 * to.truth.size()) << static_cast<int>(edits);
    EXPECT_LE(100 * all.size(), 101 * to.truth.size()) << static_cast<int>(edits);
    EXPECT_EQ(diff->totals.unaligned, 0u);
  }
}

TEST_F(GroundTruth, WhoRanWhenIsNoDifference) {
  const Streams streams = original();
  const auto diff = compare(*recorded(streams), *recorded(streams, 37), {});
  ASSERT_TRUE(diff.ok());
  EXPECT_EQ(diff->totals.differences(), 0u);
  EXPECT_EQ(diff->totals.same, kVcpus * kExits);
}

TEST_F(GroundTruth, DifferencesBeyondTheLimitAreCountedAndNotListed) {
  const Streams streams = original();
  const Edited to = edited(streams, Edits::kChanged);
  DiffOptions options;
  options.changes_max = 5;
  const auto diff = compare(*recorded(streams), *recorded(to.streams), options);
  ASSERT_TRUE(diff.ok());
  EXPECT_EQ(diff->changes.size(), 5u);
  EXPECT_EQ(diff->listed, to.truth.size());
  EXPECT_EQ(diff->totals.changed, to.truth.size());
  ASSERT_EQ(diff->groups.size(), 1u) << "they say the same";
  EXPECT_EQ(diff->groups[0].count, to.truth.size());
  EXPECT_EQ(diff->groups[0].first.fields[0].name, "mmio.data");
}

TEST_F(GroundTruth, OfTwoKernelsOnlyWhatTheirChangesAreAboutIsExplained) {
  constexpr uint32_t kReset = 2;
  const auto guest = [&](const std::string& kernel, bool reset2, uint8_t byte) {
    SyntheticTrace trace;
    trace.arm64(kernel).mmio_write(0x9000000, {byte, 0, 0, 0});
    if (reset2) trace.system_event(kReset, {1});
    trace.mmio_write(0x9000000, {'z', 0, 0, 0});
    auto opened = TraceReader::open(trace.write_to(scratch_.file(std::to_string(++files_))));
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  };
  const auto extra = compare(*guest("5.10.0", false, 'a'), *guest("6.1.0", true, 'a'), {});
  ASSERT_TRUE(extra.ok());
  EXPECT_EQ(extra->totals.extra, 1u);
  EXPECT_EQ(extra->totals.unexplained(), 0u);
  // The other way about, and data of which no kernel knows.
  const auto missing = compare(*guest("5.10.0", true, 'a'), *guest("6.1.0", false, 'b'), {});
  ASSERT_TRUE(missing.ok());
  EXPECT_EQ(missing->totals.unexplained(), 2u);
  ASSERT_TRUE(missing->first_unexplained.has_value());
  EXPECT_EQ(missing->first_unexplained->change.kind, ChangeKind::kChanged);
}

}  // namespace
}  // namespace kvmtape::testing
