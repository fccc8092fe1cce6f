// Runs of equal exits in a ring that coalesces: whatever the vCPU does, the ring read at any moment
// gives back every exit and every answer, folded or not.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "schema/chunk_codec.h"
#include "schema/ring_reader.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/memory_ring.h"

namespace kvmtape::testing {
namespace {

struct Moments {
  Bytes exit, exit_data, answer, answer_data;
  bool answered = false;
  bool operator==(const Moments&) const = default;
};

// All exits that stand in the ring, repeats unfolded.
std::vector<Moments> read_back(RingHeader* ring, uint64_t* repeats = nullptr) {
  RingReader reader(ring);
  ChunkEncoder encoder({0, 0, Architecture::kX86_64, ByteOrder::kLittle});
  for (;;) {
    const RingBatch batch = reader.poll();
    if (batch.words.empty()) break;
    EXPECT_EQ(encoder.add(batch.words, true), batch.words.size());
  }
  std::vector<uint8_t> chunk;
  std::vector<Moments> exits;
  if (!encoder.finish({}, chunk)) return exits;
  ChunkDecoder decoder;
  EXPECT_TRUE(decoder.open(chunk));
  EXPECT_TRUE(decoder.begin());
  for (;;) {
    const auto item = decoder.next();
    if (item == ChunkDecoder::Item::kEnd) break;
    if (item == ChunkDecoder::Item::kCorrupt) {
      ADD_FAILURE() << decoder.error().to_string();
      break;
    }
    if (item == ChunkDecoder::Item::kExit) {
      const RecordedExit& exit = decoder.exit();
      EXPECT_EQ(exit.seq, exits.size());
      exits.push_back({copy(exit.kvm_run), copy(exit.data), copy(exit.answer_kvm_run),
                       copy(exit.answer_data), exit.has_answer});
      continue;
    }
    const SideRecord& side = decoder.side();
    if (side.kind != RecordKind::kRepeat) continue;
    RepeatRecord repeat;
    std::copy_n(side.payload.data(), sizeof repeat, reinterpret_cast<uint8_t*>(&repeat));
    EXPECT_LE(repeat.monitor_ticks_min, repeat.monitor_ticks_max);
    EXPECT_LE(repeat.first_tsc, repeat.last_tsc);
    EXPECT_LT(repeat.of_seq, exits.size());
    if (repeats != nullptr) *repeats += repeat.count;
    exits.insert(exits.end(), repeat.count, exits.at(repeat.of_seq));
  }
  EXPECT_EQ(encoder.next_seq(), exits.size());
  return exits;
}

class RepeatsTest : public ::testing::Test {
 protected:
  RepeatsTest() { ring_.header()->coalesce = 1; }

  void exit(int ret = 0) {
    capture().exit(ret, ret < 0 ? EINTR : 0);
    expected_.push_back({copy(vcpu_.core()), data(), {}, {}, false});
  }
  void answer() {
    capture().enter();
    Moments& last = expected_.back();
    last.answer = copy(vcpu_.core());
    last.answer_data = data();
    last.answered = true;
  }
  Bytes data() {
    const auto& io = vcpu_.run().io;
    return vcpu_.run().exit_reason == KVM_EXIT_IO
               ? copy(vcpu_.port_bytes(size_t{io.size} * io.count))
               : Bytes{};
  }
  VcpuCapture& capture() {
    if (!capture_)
      capture_ = std::make_unique<VcpuCapture>(ring_.header(), vcpu_.mapping(),
                                               vcpu_.mapping_bytes(), FakeVcpu::kVcpuFd,
                                               CaptureOptions{RegisterPolicy::kNever, 1, false});
    return *capture_;
  }

  MemoryRing<uint64_t> ring_{16, true};
  FakeVcpu vcpu_;
  std::unique_ptr<VcpuCapture> capture_;
  std::vector<Moments> expected_;
};

TEST_F(RepeatsTest, ASpinningGuestTakesTwoRecordsAndNothingIsLost) {
  vcpu_.set_mmio(0xfee00030, 4, false);
  for (int i = 0; i < 100'000; ++i) {
    exit();
    answer();
  }
  uint64_t repeats = 0;
  EXPECT_EQ(read_back(ring_.header(), &repeats), expected_);
  EXPECT_EQ(repeats, 99'999u);
  EXPECT_EQ(ring_.header()->open_block, 0u) << "the run must not have gone beyond its first block";
}

TEST_F(RepeatsTest, AnAnswerThatDiffersAtLastIsKept) {
  vcpu_.set_io(false, 1, 0x64, 1);
  for (int i = 0; i < 10; ++i) {
    exit();
    if (i == 7) vcpu_.port_data()[0] = 0x1d;
    answer();
  }
  EXPECT_EQ(read_back(ring_.header()), expected_);
}

TEST_F(RepeatsTest, AFailedRunIsNeverFolded) {
  vcpu_.set_reason(KVM_EXIT_HLT);
  for (int i = 0; i < 5; ++i) {
    exit(-1);
    answer();
  }
  uint64_t repeats = 0;
  EXPECT_EQ(read_back(ring_.header(), &repeats), expected_);
  EXPECT_EQ(repeats, 0u);
}

TEST_F(RepeatsTest, AtAnyMomentTheRingHoldsWhatHappenedAndNothingElse) {
  std::mt19937_64 random(20261121);
  for (int i = 0; i < 400; ++i) {
    switch (random() % 8) {
      case 0:
        vcpu_.set_mmio(0x1000 + 8 * (random() % 2), 4, random() % 2 == 0);
        break;
      case 1:
        vcpu_.set_io(random() % 2 == 0, 1, 0x60, 1 + below(random, 9));
        break;
      case 2:
        vcpu_.port_data()[0] = static_cast<uint8_t>(random() % 2);
        break;
      default:
        break;
    }
    exit();
    ASSERT_EQ(read_back(ring_.header()), expected_) << i;
    if (random() % 8 == 0) vcpu_.word(6) = random() % 2;
    if (random() % 8 == 0) vcpu_.port_data()[0] ^= 1;
    answer();
    ASSERT_EQ(read_back(ring_.header()), expected_) << i;
  }
}

}  // namespace
}  // namespace kvmtape::testing
