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
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>
#include <utility>
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
                                      KilledRecording recording, Progress& progress) {
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  options.ring_directory = rings.c_str();
  options.registers = KVMTAPE_REGISTERS_NEVER;
  if (recording == KilledRecording::kFlight) options.flight_bytes = 256 << 10;
  if (recording == KilledRecording::kRotating) {
    options.max_file_bytes = 256 << 10;
    options.max_files = 0;
  }
  kvmtape_error error;
  kvmtape_session* session = kvmtape_open(&options, &error);
  if (session == nullptr) ::_exit(3);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kVcpus; ++id)
    threads.emplace_back([=, &progress] { run_vcpu(session, id, progress); });
  // So that it is killed between two files, too.
  while (recording == KilledRecording::kFlight) {
    kvmtape_snapshot(session, "again", nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
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
  void record_and_kill(const ScratchDirectory& scratch, const KillPlan& plan, bool by_abort) {
    for (auto& published : progress_->published) published = 0;
    std::filesystem::create_directory(scratch.file("rings"));
    progress_->please_abort = 0;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0)
      record_until_killed(scratch.file("t.kvmtape"), scratch.file("rings"), plan.recording,
                          *progress_);
    // Anywhere in the set-up, or between the first exit and a few drained chunks or files.
    const std::string second = scratch.file("t.1.kvmtape");
    auto runs = [&] {
      return progress_->published[0] != 0 &&
             (plan.recording != KilledRecording::kRotating || std::filesystem::exists(second));
    };
    for (int ms = 0; !plan.from_start && ms < 5000 && !runs(); ++ms) ::usleep(1000);
    ::usleep(static_cast<useconds_t>(random_() % plan.delay_us_max));
    if (by_abort)
      progress_->please_abort = 1;
    else
      ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }

  bool any_published() const {
    return std::ranges::any_of(progress_->published, [](const auto& exits) { return exits != 0; });
  }

  // Holds a recording, of which `paths` are the files, against what the dead process had published.
  void expect_everything(const std::vector<std::string>& paths, KilledRecording recording) {
    uint64_t next[kVcpus] = {};
    bool seen[kVcpus] = {};
    for (const std::string& path : paths) {
      auto opened = TraceReader::open(path);
      ASSERT_TRUE(opened) << opened.error().to_string();
      expect_file(**opened, recording, next);
      if (HasFatalFailure()) return;
      for (const VcpuTotals& vcpu : (*opened)->vcpus()) seen[vcpu.id] = true;
      ASSERT_EQ((*opened)->health().damaged_chunks, 0u);
      ring_exits_ += (*opened)->health().ring_exits;
    }
    for (uint32_t id = 0; id < kVcpus; ++id) {
      const uint64_t published = progress_->published[id];
      ASSERT_GE(next[id], published) << "a published exit of vCPU " << id << " is lost";
      ASSERT_LE(next[id], published + 1) << "an exit was invented";
      ASSERT_TRUE(seen[id] || published == 0) << "vCPU " << id << " is lost";
    }
  }

  // `next` is, by vCPU, where the files before it ended; this one goes on there. It may begin
  // before: of what a recorder has just put into one file, the rings may hold some still.
  void expect_file(TraceReader& reader, KilledRecording recording, uint64_t (&next)[kVcpus]) {
    uint64_t at[kVcpus] = {};
    bool begun[kVcpus] = {};
    uint32_t ids[kVcpus] = {};  // by index: which vCPU came first is chance
    for (const VcpuTotals& vcpu : reader.vcpus()) {
      ASSERT_TRUE(vcpu.index < kVcpus && vcpu.id < kVcpus);
      ids[vcpu.index] = vcpu.id;
    }
    for (Item item; reader.next(item);) {
      if (item.vcpu_index >= kVcpus) continue;
      if (item.kind != Item::Kind::kGap && item.kind != Item::Kind::kExit) continue;
      const uint32_t id = ids[item.vcpu_index];
      if (item.kind == Item::Kind::kExit) {
        ASSERT_EQ(id, item.stream->vcpu_id);
      }
      uint64_t& seq = at[id];
      const uint64_t first = item.kind == Item::Kind::kGap ? item.gap.first_seq : item.seq;
      if (!std::exchange(begun[id], true)) {
        seq = first;
        if (recording != KilledRecording::kFlight) {
          ASSERT_LE(first, next[id]) << "a hole before vCPU " << id;
        }
      }
      ASSERT_EQ(first, seq) << "of vCPU " << id;
      if (item.kind == Item::Kind::kGap) {
        ASSERT_EQ(item.gap.why, GapReason::kRingFull) << "the producer counted it";
        seq += item.gap.lost;
        dropped_ += item.gap.lost;
      } else {
        expect_exit(item, id, seq++);
        if (HasFatalFailure()) return;
      }
      next[id] = std::max(next[id], seq);
    }
  }

  void expect_exit(const Item& item, uint32_t id, uint64_t seq) {
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
          std::memcmp(item.exit->answer_kvm_run.data(), run, item.exit->answer_kvm_run.size()), 0);
    }
    ++exits_;
  }

  // A flight recorder's newest file that has a header and is no snapshot.
  static std::string waiting_file_in(const ScratchDirectory& scratch) {
    std::string found = scratch.file("t.kvmtape");
    int newest = 1;
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path())) {
      const std::string name = entry.path().filename().string();
      int number = 0, length = 0;
      if (std::sscanf(name.c_str(), "t.%d.kvmtape%n", &number, &length) != 1 ||
          static_cast<size_t>(length) != name.size() || number < newest)
        continue;
      const auto reader = TraceReader::open(entry.path().string());
      if (!reader || (*reader)->health().sealed || (*reader)->session().ring_directory.empty())
        continue;
      newest = number;
      found = entry.path().string();
    }
    return found;
  }

  // Oldest first; the one that the rings belong to is the last. A recorder that was killed while it
  // put a file aside leaves it under both names.
  static std::vector<std::string> files_in(const ScratchDirectory& scratch,
                                           KilledRecording recording) {
    std::vector<std::string> paths;
    const std::string last = scratch.file("t.kvmtape");
    if (recording == KilledRecording::kFlight) return {waiting_file_in(scratch)};
    for (int number = 1;; ++number) {
      const std::string path = scratch.file("t." + std::to_string(number) + ".kvmtape");
      if (!std::filesystem::exists(path)) break;
      if (!std::filesystem::equivalent(path, last)) paths.push_back(path);
    }
    paths.push_back(last);
    return paths;
  }

  Progress* progress_ = nullptr;
  std::mt19937 random_{std::random_device{}()};
  uint64_t exits_ = 0, dropped_ = 0, ring_exits_ = 0, rotations_ = 0;
};

TEST_F(KillStressTest, no_published_exit_is_lost_and_none_is_invented) {
  const int kills = kills_wanted();
  for (int i = 0; i < kills; ++i) {
    SCOPED_TRACE("kill " + std::to_string(i));
    const ScratchDirectory scratch;
    const KillPlan plan = plan_of_kill(i, kills);
    record_and_kill(scratch, plan, i % 3 == 2 && !plan.from_start);
    if (HasFatalFailure()) return;
    std::vector<std::string> files = files_in(scratch, plan.recording);
    const std::string path = files.back(), saved = scratch.file("saved.kvmtape");
    auto reader = TraceReader::open(path);
    if (!reader && !any_published()) continue;  // there was nothing yet
    rotations_ += files.size() - 1;
    expect_everything(files, plan.recording);
    if (HasFatalFailure()) return;
    reader = TraceReader::open(path);
    ASSERT_TRUE(reader);
    const auto totals = rewrite_trace(**reader, {saved, false, "recovered", nullptr});
    ASSERT_TRUE(totals) << totals.error().to_string();
    EXPECT_EQ(totals->exits_damaged, 0u);
    files.back() = saved;
    expect_everything(files, plan.recording);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(exits_, 1000u);
  EXPECT_GT(ring_exits_, 0u) << "no kill left anything in the rings: the test shows nothing";
  EXPECT_GT(rotations_, 0u) << "no recording came to its second file";
  RecordProperty("exits", std::to_string(exits_));
  RecordProperty("dropped", std::to_string(dropped_));
}

}  // namespace
}  // namespace kvmtape::testing
