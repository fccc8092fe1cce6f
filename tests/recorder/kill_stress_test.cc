// Kills a recording process at random moments and reads what it left: every exit that it had
// published is there, none is invented, and every hole is a gap. No KVM needed: the embedding API
// gets a kvm_run of our own. As many kills as tests/support/kills.h says.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "recorder/kvmtape.h"
#include "replayer/rewrite/trace_rewriter.h"
#include "schema/base/byte_cursor.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

constexpr uint32_t kVcpus = 3;
constexpr size_t kRunPages = 2 * 4096;
constexpr uint8_t kExitIo = 2, kExitMmio = 6;

// How far the process that is going to be killed got: written after each publication.
struct Progress {
  std::atomic<uint64_t> published[kVcpus];
  std::atomic<uint32_t> please_abort;
};

uint64_t mixed(uint32_t vcpu, uint64_t seq) {
  return (seq * 1000003 + vcpu + 1) * 0x9e3779b97f4a7c15u;
}

// Exit `seq` of `vcpu` as KVM leaves it: mostly MMIO, sometimes port output of four bytes.
void fill_exit(uint8_t* run, uint32_t vcpu, uint64_t seq) {
  std::memset(run + 32, 0, 256);
  const uint64_t value = mixed(vcpu, seq);
  if (seq % 5 == 0) {
    run[8] = kExitIo;
    run[32] = 1;  // KVM_EXIT_IO_OUT
    run[33] = 4;
    run[36] = 1;  // count
    store_le<uint64_t>(run + 40, 4096);
    std::memcpy(run + 4096, &value, 4);
  } else {
    run[8] = kExitMmio;
    store_le<uint64_t>(run + 32, seq << 8);
    store_le<uint64_t>(run + 40, value);
    run[48] = 8;
  }
}
void fill_answer(uint8_t* run, uint32_t vcpu, uint64_t seq) {
  if (run[8] == kExitMmio) store_le<uint64_t>(run + 40, ~mixed(vcpu, seq));
}

void run_vcpu(kvmtape_session* session, uint32_t id, Progress& progress) {
  static std::array<std::unique_ptr<uint64_t[]>, kVcpus> pages;
  pages[id] = std::make_unique<uint64_t[]>(kRunPages / sizeof(uint64_t));
  auto* run = reinterpret_cast<uint8_t*>(pages[id].get());
  kvmtape_error error;
  kvmtape_vcpu* tape = kvmtape_attach_vcpu(session, id, -1, run, kRunPages, &error);
  for (uint64_t seq = 0;; ++seq) {
    fill_exit(run, id, seq);
    kvmtape_exit(tape, 0, 0);
    // release: whoever reads this number finds the exit
    progress.published[id].store(seq + 1, std::memory_order_release);
    fill_answer(run, id, seq);
    kvmtape_enter(tape);
    if (progress.please_abort.load(std::memory_order_relaxed) != 0) std::abort();
    if (seq % 64 == 0) std::this_thread::yield();
    if (seq % 4096 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

[[noreturn]] void record_until_killed(const std::string& path, const std::string& rings,
                                      Progress& progress) {
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  options.ring_directory = rings.c_str();
  options.registers = KVMTAPE_REGISTERS_NEVER;
  kvmtape_error error;
  kvmtape_session* session = kvmtape_open(&options, &error);
  if (session == nullptr) ::_exit(3);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kVcpus; ++id)
    threads.emplace_back([=, &progress] { run_vcpu(session, id, progress); });
  for (std::thread& thread : threads) thread.join();
  ::_exit(4);
}

class KillStressTest : public ::testing::Test {
 protected:
  KillStressTest() {
    void* page = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    progress_ = new (page) Progress{};
  }
  ~KillStressTest() override { ::munmap(progress_, sizeof(Progress)); }

  // Records for a while and dies.
  void record_and_kill(const ScratchDirectory& scratch, bool by_abort) {
    for (auto& published : progress_->published) published = 0;
    std::filesystem::create_directory(scratch.file("rings"));
    progress_->please_abort = 0;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
      record_until_killed(scratch.file("t.kvmtape"), scratch.file("rings"), *progress_);
    // Anywhere between the first exit and a few drained chunks.
    for (int ms = 0; ms < 5000 && progress_->published[0] == 0; ++ms) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(random_() % 60'000));
    if (by_abort)
      progress_->please_abort = 1;
    else
      ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }

  // Holds a recording against what the dead process had published.
  void expect_everything(const std::string& path) {
    auto opened = TraceReader::open(path);
    ASSERT_TRUE(opened) << opened.error().to_string();
    TraceReader& reader = **opened;
    uint64_t next[kVcpus] = {};
    for (Item item; reader.next(item);) {
      if (item.vcpu_index >= kVcpus) continue;
      uint64_t& seq = next[item.vcpu_index];
      if (item.kind == Item::Kind::kGap) {
        ASSERT_EQ(item.gap.why, GapReason::kRingFull) << "the producer counted it";
        ASSERT_EQ(item.gap.first_seq, seq);
        seq += item.gap.lost;
        dropped_ += item.gap.lost;
      }
      if (item.kind != Item::Kind::kExit) continue;
      ASSERT_EQ(item.seq, seq) << "of vCPU " << item.vcpu_index;
      const uint32_t id = item.stream->vcpu_id;
      uint8_t run[kRunPages] = {};
      fill_exit(run, id, seq);
      ASSERT_EQ(std::memcmp(item.exit->kvm_run.data(), run, item.exit->kvm_run.size()), 0)
          << id << ":" << seq;
      if (run[8] == kExitIo) {
        ASSERT_EQ(item.exit->data.size(), 4u);
        ASSERT_EQ(std::memcmp(item.exit->data.data(), run + 4096, 4), 0);
      }
      if (item.exit->has_answer) {
        fill_answer(run, id, seq);
        ASSERT_EQ(
            std::memcmp(item.exit->answer_kvm_run.data(), run, item.exit->answer_kvm_run.size()),
            0);
      }
      ++seq;
      ++exits_;
    }
    for (const VcpuTotals& vcpu : reader.vcpus()) {
      const uint64_t published = progress_->published[vcpu.id];
      ASSERT_GE(next[vcpu.index], published)
          << "a published exit of vCPU " << vcpu.id << " is lost";
      ASSERT_LE(next[vcpu.index], published + 1) << "an exit was invented";
    }
    for (uint32_t id = 0; id < kVcpus; ++id)
      if (progress_->published[id] != 0) {
        ASSERT_TRUE(std::ranges::any_of(reader.vcpus(),
                                        [&](const VcpuTotals& vcpu) { return vcpu.id == id; }))
            << "vCPU " << id << " is lost";
      }
    ring_exits_ += reader.health().ring_exits;
    ASSERT_EQ(reader.health().damaged_chunks, 0u);
  }

  Progress* progress_ = nullptr;
  std::mt19937 random_{std::random_device{}()};
  uint64_t exits_ = 0, dropped_ = 0, ring_exits_ = 0;
};

TEST_F(KillStressTest, no_published_exit_is_lost_and_none_is_invented) {
  const int kills = kills_wanted();
  for (int i = 0; i < kills; ++i) {
    SCOPED_TRACE("kill " + std::to_string(i));
    const ScratchDirectory scratch;
    record_and_kill(scratch, i % 3 == 2);
    if (HasFatalFailure()) return;
    const std::string path = scratch.file("t.kvmtape"), saved = scratch.file("saved.kvmtape");
    expect_everything(path);
    if (HasFatalFailure()) return;
    auto reader = TraceReader::open(path);
    ASSERT_TRUE(reader);
    const auto totals = rewrite_trace(**reader, {saved, false, "recovered", nullptr});
    ASSERT_TRUE(totals) << totals.error().to_string();
    EXPECT_EQ(totals->exits_damaged, 0u);
    expect_everything(saved);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(exits_, 1000u);
  EXPECT_GT(ring_exits_, 0u) << "no kill left anything in the rings: the test shows nothing";
  RecordProperty("exits", std::to_string(exits_));
  RecordProperty("dropped", std::to_string(dropped_));
}

}  // namespace
}  // namespace kvmtape::testing
