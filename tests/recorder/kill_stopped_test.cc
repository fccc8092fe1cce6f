// Kills a recording process that is stopped and started again all the time: of what it left, every
// exit that came before a stop is there, none that came while it was stopped is, and what is
// missing says that the recording was stopped. As many kills as tests/support/kills.h says.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "recorder/control/control_server.h"
#include "recorder/control/unix_socket.h"
#include "replayer/rewrite/trace_rewriter.h"
#include "tests/support/kills.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

constexpr uint32_t kVcpus = 2;
constexpr uint32_t kPausesMax = 64;
constexpr uint64_t kNever = ~uint64_t{0};

// How many exits were published, by vCPU, at four moments of a pause; kNever: it never came to it.
struct Pause {
  std::atomic<uint64_t> before_stop[kVcpus], after_stop[kVcpus];
  std::atomic<uint64_t> before_start[kVcpus], after_start[kVcpus];
};

struct Progress {
  std::atomic<uint64_t> published[kVcpus];  // written after each publication
  Pause pauses[kPausesMax];

  void note(std::atomic<uint64_t> (&moment)[kVcpus]) const {
    for (uint32_t vcpu = 0; vcpu < kVcpus; ++vcpu) moment[vcpu] = published[vcpu].load();
  }
  void reset() {
    for (auto& exits : published) exits = 0;
    for (Pause& pause : pauses)
      for (auto* moment :
           {&pause.before_stop, &pause.after_stop, &pause.before_start, &pause.after_start})
        for (auto& exits : *moment) exits = kNever;
  }
};

void ask(const std::string& trace, const std::string& line) {
  auto fd = connect_to(control_path(trace));
  if (!fd.ok()) ::_exit(5);
  (void)::send(fd->get(), line.data(), line.size(), MSG_NOSIGNAL);
  char reply[256];
  if (::recv(fd->get(), reply, sizeof reply, 0) <= 0) ::_exit(6);
}

[[noreturn]] void record_until_killed(const std::string& directory, unsigned seed,
                                      Progress& progress) {
  std::mt19937 random(seed);
  TestSession session;
  session.path = directory + "/t.kvmtape";
  session.ring_directory = directory + "/rings";
  session.options.control = 1;
  session.options.ring_bytes = random() % 2 == 0 ? 64 << 10 : 1 << 20;
  session.options.registers = KVMTAPE_REGISTERS_NEVER;
  if (!session.open()) ::_exit(3);
  // So that the rings go round in a pause, or do not.
  const std::chrono::microseconds rest(random() % 2 == 0 ? 20 : 1000);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kVcpus; ++id)
    threads.emplace_back([&, id] {
      FakeVcpu vcpu;
      kvmtape_vcpu* tape = session.attach(id, vcpu);
      for (uint64_t seq = 0;; ++seq) {
        vcpu.set_numbered(seq);
        kvmtape_exit(tape, 0, 0);
        progress.published[id] = seq + 1;
        if (seq % 16 == 0) std::this_thread::sleep_for(rest);
        kvmtape_enter(tape);
      }
    });
  const auto pause = [&] { ::usleep(static_cast<useconds_t>(random() % 4000)); };
  for (uint32_t at = 0;; at = std::min(at + 1, kPausesMax - 1)) {
    Pause& now = progress.pauses[at];
    pause();
    progress.note(now.before_stop);
    ask(session.path, "stop\n");
    progress.note(now.after_stop);
    if (at + 1 == kPausesMax) ::pause();
    pause();
    progress.note(now.before_start);
    ask(session.path, "start\n");
    progress.note(now.after_start);
  }
}

class KillStoppedTest : public ::testing::Test {
 protected:
  KillStoppedTest() {
    void* page = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    progress_ = new (page) Progress{};
  }
  ~KillStoppedTest() override { ::munmap(progress_, sizeof(Progress)); }

  void record_and_kill(const ScratchDirectory& scratch) {
    progress_->reset();
    std::filesystem::create_directory(scratch.file("rings"));
    const auto seed = static_cast<unsigned>(random_());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) record_until_killed(scratch.file(""), seed, *progress_);
    for (int ms = 0; ms < 60'000 && progress_->pauses[0].before_stop[0] == kNever; ++ms)
      ::usleep(1000);
    ::usleep(static_cast<useconds_t>(random_() % 40'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }

  void expect_everything(const std::string& path) {
    auto opened = TraceReader::open(path);
    ASSERT_TRUE(opened) << opened.error().to_string();
    uint64_t next[kVcpus] = {};
    uint32_t ids[kVcpus] = {};  // by index: which vCPU came first is chance
    for (const VcpuTotals& vcpu : (*opened)->vcpus()) ids[vcpu.index] = vcpu.id;
    for (Item item; (*opened)->next(item);) {
      if (item.kind != Item::Kind::kGap && item.kind != Item::Kind::kExit) continue;
      const uint32_t id = ids[item.vcpu_index];
      ASSERT_EQ(item.kind == Item::Kind::kGap ? item.gap.first_seq : item.seq, next[id]);
      if (item.kind == Item::Kind::kExit) {
        ASSERT_EQ(FakeVcpu::number_in(item.exit->kvm_run), item.seq);
        expect_recorded(id, item.seq);
        ++next[id];
      } else {
        expect_gap(id, item.gap);
        next[id] += item.gap.lost;
      }
      if (HasFatalFailure()) return;
    }
    for (uint32_t id = 0; id < kVcpus; ++id) {
      ASSERT_GE(next[id], progress_->published[id]) << "a published exit of vCPU " << id;
      ASSERT_LE(next[id], progress_->published[id] + 1) << "an exit was invented";
    }
    ASSERT_EQ((*opened)->health().damaged_chunks, 0u);
  }

  // What was counted as published lags behind by one exit at most.
  void expect_recorded(uint32_t id, uint64_t seq) {
    for (const Pause& pause : progress_->pauses)
      ASSERT_FALSE(pause.after_stop[id] != kNever && seq > pause.after_stop[id] &&
                   seq < pause.before_start[id])
          << id << ":" << seq << " came while the recording was stopped, from "
          << pause.after_stop[id] << " to " << pause.before_start[id];
    ++exits_;
  }
  void expect_gap(uint32_t id, const Gap& gap) {
    if (gap.why == GapReason::kRingFull) return;
    ASSERT_EQ(gap.why, GapReason::kStopped) << id << ":" << gap.first_seq << ", " << gap.lost;
    const auto is_in = [&](const Pause& pause) {
      return gap.first_seq >= pause.before_stop[id] &&
             gap.first_seq + gap.lost - 1 <= pause.after_start[id];
    };
    ASSERT_TRUE(std::ranges::any_of(progress_->pauses, is_in))
        << id << ":" << gap.first_seq << ", " << gap.lost << " came while it recorded";
    stopped_ += gap.lost;
  }

  Progress* progress_ = nullptr;
  std::mt19937 random_{std::random_device{}()};
  uint64_t exits_ = 0, stopped_ = 0;
};

TEST_F(KillStoppedTest, what_came_while_it_was_stopped_is_left_out_and_nothing_else) {
  const int kills = kills_wanted();
  // As many as there are moments for; more where the machine is slow, so that each is seen.
  for (int i = 0; i < kills || (i < kills + 1000 && (exits_ <= 1000 || stopped_ <= 1000)); ++i) {
    SCOPED_TRACE("kill " + std::to_string(i));
    const ScratchDirectory scratch;
    record_and_kill(scratch);
    if (HasFatalFailure()) return;
    expect_everything(scratch.file("t.kvmtape"));
    if (HasFatalFailure()) return;
    auto reader = TraceReader::open(scratch.file("t.kvmtape"));
    ASSERT_TRUE(reader);
    const std::string saved = scratch.file("saved.kvmtape");
    const auto totals = rewrite_trace(**reader, {saved, false, "recovered", nullptr});
    ASSERT_TRUE(totals) << totals.error().to_string();
    EXPECT_EQ(totals->exits_damaged, 0u);
    expect_everything(saved);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(exits_, 1000u);
  EXPECT_GT(stopped_, 1000u);
}

}  // namespace
}  // namespace kvmtape::testing
