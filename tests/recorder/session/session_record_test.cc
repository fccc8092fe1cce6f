// What a session records: exits, marks, control calls, snapshots, many vCPUs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "schema/snapshot.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;

TEST(SessionRecord, EveryExitIsInTheTraceWithItsNumber) {
  TestSession test;
  ASSERT_TRUE(test.open()) << test.error.text;
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(5, vcpu);
  kvmtape_enter(tape);
  for (uint64_t number = 0; number < 1000; ++number) TestSession::run_numbered(tape, vcpu, number);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  EXPECT_EQ(test.totals.exits, 1000u);
  EXPECT_EQ(test.totals.lost, 0u);
  EXPECT_EQ(test.totals.vcpus, 1u);
  EXPECT_EQ(test.totals.write_errors, 0u);
  EXPECT_EQ(test.totals.bytes, file_bytes(test.path).size());
  uint64_t wrong = 0;
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.exit == nullptr) return;
    wrong += FakeVcpu::number_in(item.exit->kvm_run) != item.exit->seq || !item.exit->has_answer;
  });
  ASSERT_TRUE(trace.ok());
  EXPECT_TRUE(trace->sealed);
  EXPECT_EQ(trace->exits(), 1000u);
  EXPECT_EQ(wrong, 0u);
  ASSERT_EQ(trace->session.vcpus.size(), 1u);
  EXPECT_EQ(trace->session.vcpus[0].id, 5u);
  EXPECT_EQ(trace->session.monitor_name, "test");
}

TEST(SessionRecord, TheLastExitNeedsNoAnswer) {
  TestSession test;
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  kvmtape_exit(tape, 0, 0);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  EXPECT_EQ(walk_trace(test.path)->exits(), 1u);
}

TEST(SessionRecord, MarksStandInTheTraceWithTheirText) {
  TestSession test;
  ASSERT_TRUE(test.open());
  EXPECT_EQ(kvmtape_mark(test.session, "one"), 0);
  EXPECT_EQ(kvmtape_mark(test.session, ""), 0);
  const std::string lengthy(10'000, 'x');
  EXPECT_EQ(kvmtape_mark(test.session, lengthy.c_str()), 0);
  ASSERT_EQ(test.close(), 0);
  std::vector<std::string> marks;
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.side != nullptr && item.side->kind == RecordKind::kMark)
      marks.push_back(mark_in(*item.side));
  });
  ASSERT_TRUE(trace.ok()) << trace.error().to_string();
  EXPECT_THAT(marks, ElementsAre("one", "", lengthy.substr(0, 4096)));
}

TEST(SessionRecord, ControlCallsKeepPayloadResultAndErrnoAndAreCutAtAPage) {
  TestSession test;
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(9, vcpu);
  const std::vector<uint8_t> in(13, 0x11), out(9000, 0x22);
  EXPECT_EQ(kvmtape_control_call(test.session, KVMTAPE_VCPU, tape, 0x4048ae9b, 77, in.data(),
                                 in.size(), out.data(), out.size(), -1, EPERM),
            0);
  EXPECT_EQ(kvmtape_control_call(test.session, KVMTAPE_SYSTEM, nullptr, 0xae00, 0, nullptr, 5,
                                 nullptr, 5, 12, EPERM),
            0);
  ASSERT_EQ(test.close(), 0);
  std::vector<ControlCallRecord> calls;
  std::vector<std::vector<uint8_t>> payloads;
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.side == nullptr || item.side->kind != RecordKind::kControlCall) return;
    EXPECT_EQ(item.vcpu_index, kSessionStream);
    calls.push_back(record_in<ControlCallRecord>(*item.side));
    payloads.emplace_back(item.side->payload.begin() + sizeof(ControlCallRecord),
                          item.side->payload.end());
  });
  ASSERT_TRUE(trace.ok()) << trace.error().to_string();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].descriptor, static_cast<uint32_t>(DescriptorKind::kVcpu));
  EXPECT_EQ(calls[0].request, 0x4048ae9bu);
  EXPECT_EQ(calls[0].argument, 77u);
  EXPECT_EQ(calls[0].vcpu_id, 9u);
  EXPECT_EQ(calls[0].result, -1);
  EXPECT_EQ(calls[0].error, static_cast<uint32_t>(EPERM));
  EXPECT_EQ(calls[0].in_bytes, 13u);
  EXPECT_EQ(calls[0].out_bytes, 4096u);
  std::vector<uint8_t> expected(16 + 4096, 0x22);
  std::fill_n(expected.begin(), 13, uint8_t{0x11});
  std::fill_n(expected.begin() + 13, 3, uint8_t{0});
  EXPECT_EQ(payloads[0], expected);
  EXPECT_EQ(calls[1].vcpu_id, ~uint32_t{0});
  EXPECT_EQ(calls[1].error, 0u) << "errno means nothing when a call succeeded";
  EXPECT_EQ(calls[1].in_bytes + calls[1].out_bytes, 0u);
  EXPECT_TRUE(payloads[1].empty());
}

TEST(SessionRecord, AfterSetGuestDebugTheNextExitTriesTheDebugRegisters) {
  TestSession test;
  test.options.allow_vcpu_ioctls = 1;
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  TestSession::run_numbered(tape, vcpu, 0);
  kvmtape_control_call(test.session, KVMTAPE_VCPU, tape, 0x4048ae9b, 0, nullptr, 0, nullptr, 0, 0,
                       0);
  TestSession::run_numbered(tape, vcpu, 1);
  TestSession::run_numbered(tape, vcpu, 2);
  ASSERT_EQ(test.close(), 0);
  std::vector<uint64_t> at;
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.side != nullptr && item.side->kind == RecordKind::kRegisters)
      at.push_back(item.side->next_seq);
  });
  EXPECT_THAT(at, ElementsAre(2));
}

TEST(SessionRecord, ASnapshotMakesEverythingPublishedReadableWhileRecordingGoesOn) {
  TestSession test;
  test.options.drain_interval_us = 600'000'000;  // nothing is drained but by the snapshot
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* tape = test.attach(0, vcpu);
  for (uint64_t number = 0; number < 100; ++number) TestSession::run_numbered(tape, vcpu, number);
  ASSERT_EQ(kvmtape_snapshot(test.session, "because", &test.error), 0) << test.error.text;
  std::string mark;
  auto trace = walk_trace(test.path, [&](const WalkedItem& item) {
    if (item.side != nullptr && item.side->kind == RecordKind::kMark) mark = mark_in(*item.side);
  });
  ASSERT_TRUE(trace.ok());
  EXPECT_FALSE(trace->sealed);
  EXPECT_EQ(trace->exits(), 100u);
  EXPECT_GE(trace->cuts, 1u);  // another where the first second went by before
  EXPECT_EQ(mark, "snapshot: because");
  kvmtape_totals totals;
  kvmtape_get_totals(test.session, &totals);
  EXPECT_EQ(totals.exits, 100u);
  EXPECT_EQ(totals.bytes, file_bytes(test.path).size());
  for (uint64_t number = 100; number < 150; ++number) TestSession::run_numbered(tape, vcpu, number);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  EXPECT_EQ(walk_trace(test.path)->exits(), 150u);
}

TEST(SessionRecord, TwoSessionsOfOneProcessDoNotMix) {
  TestSession first, second;
  ASSERT_TRUE(first.open());
  ASSERT_TRUE(second.open());
  FakeVcpu vcpu;
  kvmtape_vcpu* one = first.attach(0, vcpu);
  kvmtape_vcpu* two = second.attach(0, vcpu);
  for (uint64_t number = 0; number < 10; ++number) TestSession::run_numbered(one, vcpu, number);
  TestSession::run_numbered(two, vcpu, 0);
  ASSERT_EQ(first.close(), 0);
  TestSession::run_numbered(two, vcpu, 1);
  ASSERT_EQ(second.close(), 0);
  EXPECT_EQ(walk_trace(first.path)->exits(), 10u);
  EXPECT_EQ(walk_trace(second.path)->exits(), 2u);
}

TEST(SessionRecord, TwoHundredVcpusEachHaveTheirStream) {
  TestSession test;
  test.options.ring_bytes = 64 * 1024;
  ASSERT_TRUE(test.open());
  std::vector<FakeVcpu> vcpus(200);
  std::vector<kvmtape_vcpu*> tapes;
  for (unsigned id = 0; id < 200; ++id) tapes.push_back(test.attach(1000 + id, vcpus[id]));
  for (uint64_t number = 0; number < 20; ++number)
    for (size_t i = 0; i < 200; ++i) TestSession::run_numbered(tapes[i], vcpus[i], number);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  auto trace = walk_trace(test.path);
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(trace->session.vcpus.size(), 200u);
  EXPECT_EQ(trace->exits() + trace->lost(), 4000u);
  for (uint32_t index = 0; index < 200; ++index)
    EXPECT_EQ(trace->streams[index].next_seq, 20u) << index;
}

// Everything that may happen at once, for ThreadSanitizer.
TEST(SessionRecord, VcpusComeWhileOthersRunAndAreMarkedAndCounted) {
  TestSession test;
  test.options.ring_bytes = 64 * 1024;
  test.options.drain_interval_us = 50;
  ASSERT_TRUE(test.open());
  constexpr unsigned kVcpus = 8;
  constexpr uint64_t kExits = 3000;
  std::vector<std::thread> threads;
  for (unsigned id = 0; id < kVcpus; ++id)
    threads.emplace_back([&test, id] {
      auto vcpu = std::make_unique<FakeVcpu>();
      kvmtape_vcpu* tape = kvmtape_attach_vcpu(test.session, id, -1, vcpu->mapping(),
                                               vcpu->mapping_bytes(), nullptr);
      for (uint64_t number = 0; number < kExits; ++number) {
        TestSession::run_numbered(tape, *vcpu, number);
        if (number % 100 == 0) {
          kvmtape_mark(test.session, "hundred");
          kvmtape_control_call(test.session, KVMTAPE_VCPU, tape, 0x4048ae9b, 0, &number, 8, nullptr,
                               0, 0, 0);
          kvmtape_totals totals;
          kvmtape_get_totals(test.session, &totals);
        }
        if (number % 1000 == 0) kvmtape_snapshot(test.session, "thousand", nullptr);
      }
      kvmtape_exit(tape, 0, 0);  // the mapping may go: nothing reads it behind the last call
    });
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(test.close(), 0) << test.error.text;
  auto trace = walk_trace(test.path);
  ASSERT_TRUE(trace.ok()) << trace.error().to_string();
  for (uint32_t index = 0; index < kVcpus; ++index) {
    EXPECT_EQ(trace->streams[index].next_seq, kExits + 1);
    EXPECT_TRUE(trace->streams[index].in_sequence);
  }
  EXPECT_EQ(trace->exits() + trace->lost(), kVcpus * (kExits + 1));
}

}  // namespace
}  // namespace kvmtape::testing
