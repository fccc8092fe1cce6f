// `kvmtape record` and its monitor, of which one or the other or both are killed at random moments:
// every exit that the monitor got back from KVM_RUN is in trace and rings together, none is
// invented, and every hole is a gap that the producer counted. Needs KVM.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "replayer/rewrite/trace_rewriter.h"
#include "schema/base/byte_cursor.h"
#include "schema/base/unique_fd.h"
#include "schema/ring_file.h"
#include "tests/e2e/counting_monitor.h"
#include "tests/support/kills.h"
#include "tests/support/memory_cgroup.h"
#include "tests/support/run_tool.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

enum class Victim { kMonitor, kRecorder, kBoth };

class KillRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid())
      GTEST_SKIP() << "/dev/kvm cannot be opened";
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // of the monitor that outlives its recorder
  }

  static bool wait_until(const std::function<bool()>& holds) {
    for (int ms = 0; ms < 60'000; ++ms) {
      if (holds()) return true;
      ::usleep(1000);
    }
    return false;
  }

  void record_and_kill(Victim victim,
                       const KillPlan& plan = {KilledRecording::kPlain, false, 60'000}) {
    const std::string shared = scratch_->file("progress");
    UniqueFd file(::open(shared.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), sizeof(MonitorProgress)), 0);
    void* page =
        ::mmap(nullptr, sizeof(MonitorProgress), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    ASSERT_NE(page, MAP_FAILED);
    progress_ = static_cast<MonitorProgress*>(page);
    std::filesystem::create_directory(scratch_->file("rings"));
    const pid_t recorder = ::fork();
    if (recorder == 0) {
      exec_recorder(plan.recording, shared);
      ::_exit(127);
    }
    // Who has not even begun yet cannot be killed by its number.
    ASSERT_TRUE(wait_until([&] {
      return plan.from_start ? victim != Victim::kMonitor || has_begun() : all_have_published();
    })) << "the monitor did not start";
    ::usleep(static_cast<useconds_t>(random_() % plan.delay_us_max));
    if (before_any_) before_any_();
    if (victim != Victim::kMonitor) ::kill(recorder, SIGKILL);
    // Alone, the monitor runs on, into a ring that nobody empties once the recorder is dead.
    if (victim == Victim::kRecorder) {
      siginfo_t dead{};
      ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(recorder), &dead, WEXITED | WNOWAIT), 0);
      ::usleep(static_cast<useconds_t>(random_() % 20'000));
    }
    if (before_monitor_) before_monitor_(progress_->pid);
    if (has_begun()) ::kill(progress_->pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(recorder, &status, 0), recorder);
    if (victim == Victim::kMonitor) {
      ASSERT_TRUE(WIFEXITED(status)) << status;
      ASSERT_EQ(WEXITSTATUS(status), 128 + SIGKILL);
    } else {
      // What the recorder had just started becomes ours, and may only now begin.
      for (pid_t left; (left = ::waitpid(-1, &status, WNOHANG)) >= 0;) {
        if (has_begun()) ::kill(progress_->pid, SIGKILL);
        if (left == 0) ::usleep(1000);
      }
    }
  }

  void exec_recorder(KilledRecording recording, const std::string& shared) const {
    const std::string rings = scratch_->file("rings"), path = trace();
    std::vector<const char*> line = {"kvmtape",     "record", "-q",        "--ring-dir",
                                     rings.c_str(), "-o",     path.c_str()};
    auto add = [&line](std::initializer_list<const char*> words) {
      line.insert(line.end(), words.begin(), words.end());
    };
    if (recording == KilledRecording::kFlight)
      add({"--flight", "256K"});
    else
      add({"--ring", "256K"});
    add({"--", KVMTAPE_COUNTING_MONITOR, shared.c_str(), nullptr});
    ::execv(KVMTAPE_BINARY_DIR "/kvmtape", const_cast<char* const*>(line.data()));
  }

  bool has_begun() const { return progress_->pid != 0; }

  bool all_have_published() const {
    return std::all_of(progress_->published, progress_->published + kCountingVcpus,
                       [](const auto& exits) { return exits != 0; });
  }

  std::array<uint64_t, kCountingVcpus> published_now() const {
    std::array<uint64_t, kCountingVcpus> now;
    std::copy_n(progress_->published, kCountingVcpus, now.begin());
    return now;
  }

  // Waits until each vCPU has had so many exits beyond `before`.
  bool all_go_on(const std::array<uint64_t, kCountingVcpus>& before, uint64_t exits) const {
    return wait_until([&] {
      for (uint32_t id = 0; id < kCountingVcpus; ++id)
        if (progress_->published[id] <= before[id] + exits) return false;
      return true;
    });
  }

  bool any_has_published() const {
    return std::ranges::any_of(progress_->published, [](const auto& exits) { return exits != 0; });
  }

  // Of a flight recorder the last exits.
  void expect_everything(const std::string& path, bool sealed,
                         KilledRecording recording = KilledRecording::kPlain) {
    auto opened = TraceReader::open(path);
    ASSERT_TRUE(opened) << opened.error().to_string();
    TraceReader& reader = **opened;
    EXPECT_EQ(reader.health().sealed, sealed);
    const bool from_the_first = recording == KilledRecording::kPlain;
    uint64_t next[kCountingVcpus] = {};
    bool begun[kCountingVcpus] = {};
    uint64_t published[kCountingVcpus] = {};
    ASSERT_LE(reader.vcpus().size(), kCountingVcpus);
    for (Item item; reader.next(item);) {
      if (item.vcpu_index >= kCountingVcpus) continue;
      if (item.kind != Item::Kind::kGap && item.kind != Item::Kind::kExit) continue;
      uint64_t& seq = next[item.vcpu_index];
      const bool first = !std::exchange(begun[item.vcpu_index], true);
      if (first && !from_the_first)
        seq = item.kind == Item::Kind::kGap ? item.gap.first_seq : item.seq;
      if (item.kind == Item::Kind::kGap) {
        ASSERT_EQ(item.gap.why, GapReason::kRingFull) << "the producer counted it";
        ASSERT_EQ(item.gap.first_seq, seq);
        seq += item.gap.lost;
      }
      if (item.kind != Item::Kind::kExit) continue;
      ASSERT_EQ(item.seq, seq) << "of vCPU " << item.vcpu_index;
      ASSERT_EQ(item.exit->data.size(), 4u);
      ASSERT_EQ(load_le<uint32_t>(item.exit->data.data()), static_cast<uint32_t>(seq))
          << "no such exit came out of KVM";
      ++seq;
      ++exits_;
    }
    for (const VcpuTotals& vcpu : reader.vcpus()) {
      published[vcpu.index] = progress_->published[vcpu.id];
      ASSERT_GE(next[vcpu.index], published[vcpu.index]) << "a published exit is lost";
      ASSERT_LE(next[vcpu.index], published[vcpu.index] + 1) << "an exit was invented";
    }
    for (uint32_t id = 0; id < kCountingVcpus; ++id) {
      ASSERT_TRUE(progress_->published[id] == 0 ||
                  std::ranges::any_of(reader.vcpus(),
                                      [id](const VcpuTotals& vcpu) { return vcpu.id == id; }))
          << "vCPU " << id << " is lost";
    }
    ring_exits_ += reader.health().ring_exits;
    ASSERT_EQ(reader.health().damaged_chunks, 0u);
  }

  // Of a recording that was stopped once, and killed: what came before is there or was dropped by
  // the producer, what came behind is one gap.
  void expect_stopped(TraceReader& reader, const std::array<uint64_t, kCountingVcpus>& before_stop,
                      const std::array<uint64_t, kCountingVcpus>& after_stop) {
    uint64_t next[kCountingVcpus] = {};
    uint32_t ids[kCountingVcpus] = {};
    ASSERT_EQ(reader.vcpus().size(), kCountingVcpus);
    for (const VcpuTotals& vcpu : reader.vcpus()) ids[vcpu.index] = vcpu.id;
    for (Item item; reader.next(item);) {
      if (item.kind != Item::Kind::kGap && item.kind != Item::Kind::kExit) continue;
      const uint32_t id = ids[item.vcpu_index];
      if (item.kind == Item::Kind::kExit) {
        ASSERT_EQ(item.seq, next[id]++);
        ASSERT_LE(item.seq, after_stop[id]) << "came while it was stopped";
        continue;
      }
      ASSERT_EQ(item.gap.first_seq, next[id]);
      next[id] += item.gap.lost;
      if (item.gap.why == GapReason::kStopped) {
        ASSERT_GE(item.gap.first_seq, before_stop[id]) << "came before it was stopped";
      } else {
        ASSERT_EQ(item.gap.why, GapReason::kRingFull);
        ASSERT_LE(next[id], after_stop[id] + 1);
      }
    }
    for (uint32_t id = 0; id < kCountingVcpus; ++id) {
      ASSERT_GE(next[id], progress_->published[id]);
      ASSERT_LE(next[id], progress_->published[id] + 1) << "an exit was invented";
    }
    ASSERT_EQ(reader.health().damaged_chunks, 0u);
  }

  static uint64_t rings_given_back(const TraceReader& reader) {
    return static_cast<uint64_t>(std::ranges::count_if(reader.vcpus(), [&](const VcpuTotals& vcpu) {
      return !std::filesystem::exists(reader.session().ring_directory + "/" +
                                      ring_file_name(vcpu.index));
    }));
  }

  std::string trace() const { return scratch_->file("t.kvmtape"); }

  std::unique_ptr<ScratchDirectory> scratch_;
  MonitorProgress* progress_ = nullptr;
  std::mt19937 random_{std::random_device{}()};
  uint64_t exits_ = 0, ring_exits_ = 0;
  std::function<void()> before_any_;           // is killed
  std::function<void(pid_t)> before_monitor_;  // is killed
};

TEST_F(KillRecordTest, WhatTheKernelKillsForMemoryLosesNothingEither) {
  constexpr size_t kBytes = 16 << 20;
  const MemoryCgroup group(kBytes);
  if (!group.made()) GTEST_SKIP() << group.why_not();
  before_monitor_ = [&group](pid_t monitor) {
    const uint64_t before = group.kills();
    group.add_victim(monitor);
    group.exhaust();
    EXPECT_GT(group.kills(), before);
  };
  for (const Victim victim : {Victim::kMonitor, Victim::kBoth}) {
    scratch_ = std::make_unique<ScratchDirectory>();
    record_and_kill(victim);
    if (HasFatalFailure()) return;
    expect_everything(trace(), victim == Victim::kMonitor);
    if (HasFatalFailure()) return;
    ::munmap(progress_, sizeof(MonitorProgress));
  }
  EXPECT_GT(exits_, 0u);
}

TEST_F(KillRecordTest, NoPublishedExitIsLostAndNoneIsInvented) {
  const int kills = kills_wanted();
  for (int i = 0; i < kills; ++i) {
    const auto victim = static_cast<Victim>(i % 3);
    SCOPED_TRACE("kill " + std::to_string(i));
    scratch_ = std::make_unique<ScratchDirectory>();
    KillPlan plan = plan_of_kill(i, kills);
    // A guest that runs for a moment fills no file; kill_stress_test fills many.
    if (plan.recording == KilledRecording::kRotating) plan.recording = KilledRecording::kPlain;
    record_and_kill(victim, plan);
    if (HasFatalFailure()) return;
    auto reader = TraceReader::open(trace());
    if (!reader && !any_has_published()) continue;  // there was nothing yet
    expect_everything(trace(), victim == Victim::kMonitor, plan.recording);
    if (HasFatalFailure()) return;
    const std::string saved = scratch_->file("saved.kvmtape");
    ASSERT_TRUE(reader) << reader.error().to_string();
    ASSERT_TRUE(rewrite_trace(**reader, {saved, false, "recovered", nullptr}));
    expect_everything(saved, true, plan.recording);
    if (HasFatalFailure()) return;
    ::munmap(progress_, sizeof(MonitorProgress));
  }
  EXPECT_GT(exits_, 1000u);
  EXPECT_GT(ring_exits_, 0u) << "no kill left anything in the rings: the test shows nothing";
}

// Of each vCPU that had ended every exit is there once, wherever its ring was on its way.
TEST_F(KillRecordTest, WhileRingsAreGivenBackNoExitIsLostOrDoubled) {
  constexpr uint64_t kExits = 51;
  uint64_t given_back = 0;
  for (int i = 0; i < kills_wanted() / 3; ++i) {
    const ScratchDirectory scratch;
    std::filesystem::create_directory(scratch / "rings");
    const std::string path = scratch / "t.kvmtape", rings = scratch / "rings";
    const pid_t recorder = ::fork();
    if (recorder == 0) {
      ::setpgid(0, 0);
      ::close(STDOUT_FILENO);
      ::execl(KVMTAPE_BINARY_DIR "/kvmtape", "kvmtape", "record", "-q", "--ring-dir", rings.c_str(),
              "--ring", "64K", "-o", path.c_str(), "--", KVMTAPE_SMALL_MONITOR, "many-vms", "50",
              nullptr);
      ::_exit(127);
    }
    // In the first round until a ring is given back.
    ASSERT_TRUE(wait_until([&] {
      const auto begun = TraceReader::open(path);
      return begun.ok() && (i > 0 || rings_given_back(**begun) > 0);
    })) << "it was not recorded in a minute";
    ::usleep(static_cast<useconds_t>(random_() % 700'000));
    ::kill(-recorder, SIGKILL);
    int status = 0;
    while (::waitpid(-1, &status, 0) > 0) continue;
    auto reader = TraceReader::open(path);
    ASSERT_TRUE(reader) << reader.error().to_string();
    EXPECT_EQ((*reader)->lost(), 0u);
    for (const VcpuTotals& vcpu : (*reader)->vcpus()) {
      const bool is_last = &vcpu == &(*reader)->vcpus().back();
      EXPECT_TRUE(is_last ? vcpu.exits <= kExits : vcpu.exits == kExits)
          << "vCPU " << vcpu.index << ": " << vcpu.exits;
    }
    given_back += rings_given_back(**reader);
  }
  EXPECT_GT(given_back, 0u) << "no ring was given back: the test shows nothing";
}

TEST_F(KillRecordTest, EveryReadVerbTakesTraceAndRingsTogetherAndSaysSo) {
  scratch_ = std::make_unique<ScratchDirectory>();
  // The recorder first: both rings may just have been emptied.
  before_monitor_ = [&](pid_t) { ASSERT_TRUE(all_go_on(published_now(), 1)); };
  record_and_kill(Victim::kRecorder);
  if (HasFatalFailure()) return;
  const Tool tool;
  for (const std::string verb : {"info", "dump", "stat", "verify"}) {
    const ToolRun run = tool.run(verb + " " + trace());
    EXPECT_EQ(run.status, 3) << verb;
    EXPECT_THAT(run.err, HasSubstr("unsealed: ")) << verb;
    EXPECT_THAT(run.err, ::testing::ContainsRegex("exits? from the file, [0-9,]+ from 2 rings"))
        << verb;
  }
  const bool lost = tool.run("info --json " + trace()).json()["totals"]["lost"] != 0;
  const std::string saved = tool.file("saved.kvmtape");
  const ToolRun recover = tool.run("recover " + trace() + " -o " + saved);
  EXPECT_EQ(recover.status, lost ? 3 : 0) << "rings and file are all of it: " << recover.err;
  EXPECT_THAT(recover.err, ::testing::Not(HasSubstr("never sealed")));
  EXPECT_EQ(tool.run("verify " + saved).status, recover.status);
}

TEST_F(KillRecordTest, WhatCameWhileItWasStoppedIsLeftOutAndEveryReadVerbSaysWhy) {
  const Tool tool;
  for (const Victim victim : {Victim::kBoth, Victim::kRecorder}) {
    scratch_ = std::make_unique<ScratchDirectory>();
    std::array<uint64_t, kCountingVcpus> before_stop{}, after_stop{};
    before_any_ = [&] {
      before_stop = published_now();
      ASSERT_EQ(tool.run("ctl " + trace() + " stop").status, 0);
      after_stop = published_now();
      ::usleep(static_cast<useconds_t>(random_() % 40'000));
      ASSERT_TRUE(all_go_on(after_stop, 10)) << "no exit came while it was stopped";
    };
    record_and_kill(victim);
    if (HasFatalFailure()) return;
    const std::string saved = scratch_->file("saved.kvmtape");
    const ToolRun recover = tool.run("recover " + trace() + " -o " + saved);
    EXPECT_EQ(recover.status, 3) << recover.err;
    for (const std::string& path : {trace(), saved}) {
      auto reader = TraceReader::open(path);
      ASSERT_TRUE(reader) << reader.error().to_string();
      expect_stopped(**reader, before_stop, after_stop);
      const uint64_t exits = (*reader)->exits(), lost = (*reader)->lost();
      const auto info = tool.run("info --json " + path).json();
      EXPECT_EQ(info["totals"]["exits"], exits);
      EXPECT_EQ(info["totals"]["lost"], lost);
      EXPECT_THAT(info["gaps"].dump(), HasSubstr("recording stopped"));
      for (const auto& line : tool.run("dump --json " + path).json_lines()) {
        if (line.contains("gap") && line["gap"]["last_seq"] > after_stop[0] + after_stop[1]) {
          EXPECT_EQ(line["gap"]["why"], "recording stopped") << line;
        }
      }
      EXPECT_EQ(tool.run("stat --json " + path).json()["totals"]["exits"], exits);
      const auto verify = tool.run("verify --json " + path).json();
      EXPECT_EQ(verify["damaged"], 0);
      EXPECT_EQ(verify["lost"], lost);
    }
    ::munmap(progress_, sizeof(MonitorProgress));
  }
}

TEST_F(KillRecordTest, WhoNamesTheRingsIsToldWhichTraceIsTheirs) {
  scratch_ = std::make_unique<ScratchDirectory>();
  record_and_kill(Victim::kBoth);
  if (HasFatalFailure()) return;
  const Tool tool;
  const std::string rings =
      std::filesystem::directory_iterator(scratch_->file("rings"))->path().string();
  for (const std::string& verb :
       {std::string("info "), std::string("dump "), "recover -o " + tool.file("no") + " "})
    for (const std::string& named : {rings, rings + "/", rings + "/session.ring"}) {
      const ToolRun run = tool.run(verb + named);
      EXPECT_EQ(run.status, 2) << verb << named;
      EXPECT_THAT(run.err, HasSubstr(", of " + trace() + ": name that")) << verb;
    }
  std::filesystem::rename(trace(), scratch_->file("moved"));
  EXPECT_THAT(tool.run("info " + rings).err,
              HasSubstr("rings alone, of " + trace() +
                        ", which is not there (if it was moved: name it, with --ring-dir)"));
  EXPECT_EQ(tool.run("info " + scratch_->file("moved") + " --ring-dir " + rings).status, 3);
  EXPECT_THAT(tool.run("info " + rings + "/session.ring").err,
              HasSubstr("name the directory that it lies in, " + rings));
  std::filesystem::remove(rings + "/session.header");  // as left by an older kvmtape
  EXPECT_THAT(tool.run("info " + rings).err,
              ::testing::AllOf(HasSubstr("name its trace, and --ring-dir " + rings),
                               HasSubstr("written to " + trace() + ", where it is no more")));
}

TEST_F(KillRecordTest, WithoutTheTraceTheRingsHoldEveryExitOfTheLast) {
  scratch_ = std::make_unique<ScratchDirectory>();
  before_monitor_ = [&](pid_t) { std::filesystem::remove(trace()); };
  record_and_kill(Victim::kBoth);
  if (HasFatalFailure()) return;
  const std::string rings = std::filesystem::directory_iterator(scratch_->file("rings"))->path();
  auto reader = TraceReader::open(rings);
  ASSERT_TRUE(reader) << reader.error().to_string();
  uint64_t next[kCountingVcpus] = {};
  for (Item item; (*reader)->next(item);) {
    if (item.vcpu_index >= kCountingVcpus) continue;
    uint64_t& seq = next[item.vcpu_index];
    if (item.kind == Item::Kind::kGap) seq += item.gap.lost;
    if (item.kind == Item::Kind::kExit) {
      ASSERT_EQ(item.seq, seq++);
      ASSERT_EQ(load_le<uint32_t>(item.exit->data.data()), static_cast<uint32_t>(item.seq));
    }
  }
  for (const VcpuTotals& vcpu : (*reader)->vcpus()) {
    EXPECT_GE(next[vcpu.index], progress_->published[vcpu.id]);
    EXPECT_LE(next[vcpu.index], progress_->published[vcpu.id] + 1);
  }
}

TEST_F(KillRecordTest, WhileTheMonitorRunsOnItIsSaidThatNobodyRecordsIt) {
  scratch_ = std::make_unique<ScratchDirectory>();
  const Tool tool;
  before_monitor_ = [&](pid_t monitor) {
    const std::string number = std::to_string(monitor);
    for (const std::string& line : {"info " + trace(), "ctl " + trace() + " status"})
      EXPECT_THAT(tool.run(line).err,
                  HasSubstr("its recorder is gone, the monitor (pid " + number + ") still runs"))
          << line;
    EXPECT_THAT(tool.run("recover " + trace() + " -o " + tool.file("early")).err,
                ::testing::Not(HasSubstr("rm -r")));
  };
  record_and_kill(Victim::kRecorder);
  if (HasFatalFailure()) return;
  const ToolRun recover = tool.run("recover " + trace() + " -o " + tool.file("saved"));
  const bool lost = tool.run("info --json " + trace()).json()["totals"]["lost"] != 0;
  EXPECT_EQ(recover.status, lost ? 3 : 0) << recover.err;
  EXPECT_THAT(recover.err, HasSubstr("are no longer needed: rm -r -- " + scratch_->file("rings/")));
}

TEST_F(KillRecordTest, WhatRingsThatNobodyEmptiedHadNoRoomForIsNotLaidToTheirSize) {
  scratch_ = std::make_unique<ScratchDirectory>();
  before_monitor_ = [&](pid_t) {
    ASSERT_TRUE(all_go_on(published_now(), 10'000)) << "rings of half as many are not full";
  };
  record_and_kill(Victim::kRecorder);
  if (HasFatalFailure()) return;
  const Tool tool;
  ASSERT_NE(tool.run("info --json " + trace()).json()["totals"]["lost"], 0);
  const ToolRun explained = tool.run("explain " + trace());
  EXPECT_THAT(explained.out, HasSubstr("rings that nobody empties fill up"));
  EXPECT_THAT(explained.out, HasSubstr("see what ended the recorder"));
  EXPECT_THAT(explained.out, ::testing::Not(HasSubstr("larger --ring")));
}

}  // namespace
}  // namespace kvmtape::testing
