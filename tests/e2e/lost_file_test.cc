// The recording's directory is removed while it is written, and then its process is killed: the
// rings, which lie elsewhere, are read alone. No KVM needed.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "replayer/trace_reader.h"
#include "schema/ring_file.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kBefore = 3000, kAfter = 200;

class LostFileTest : public ::testing::Test {
 protected:
  LostFileTest() {
    fs::create_directory(place_ / "gone");
    session_.path = place_ / "gone/vm.kvmtape";
    session_.options.registers = KVMTAPE_REGISTERS_NEVER;
    session_.options.ring_bytes = 64 * 1024;
  }
  void run(uint64_t exits) {
    for (uint64_t i = 0; i < exits; ++i) {
      session_.run_numbered(tape_, vcpu_, number_++);
      if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  // However late the drain is: it is this thread that empties the ring, before it is full.
  void run_without_loss(uint64_t exits) {
    constexpr uint64_t kFit = 500;
    for (uint64_t done = 0; done < exits; done += kFit) {
      run(std::min(kFit, exits - done));
      if (kvmtape_snapshot(session_.session, "so far", nullptr) != 0) ::_exit(2);
    }
  }
  // In a process of its own, which is killed behind it.
  void die_after(const std::function<void()>& recording) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!session_.open()) ::_exit(1);
      tape_ = session_.attach(5, vcpu_);
      recording();
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
  }
  void die_without_a_file() {
    die_after([this] {
      run_without_loss(kBefore);
      fs::remove_all(place_ / "gone");
      run(kAfter);
    });
  }
  std::string rings() const { return fs::directory_iterator(session_.ring_directory)->path(); }
  std::string tool_line(const std::string& verb) const { return verb + " " + rings(); }

  const ScratchDirectory place_;
  const Tool tool_;
  TestSession session_;
  FakeVcpu vcpu_;
  kvmtape_vcpu* tape_ = nullptr;
  uint64_t number_ = 0;
};

TEST_F(LostFileTest, EveryExitInThemIsReadAndWhatHadLeftThemIsAGap) {
  die_without_a_file();
  auto opened = TraceReader::open(rings());
  ASSERT_TRUE(opened) << opened.error().to_string();
  TraceReader& reader = **opened;
  EXPECT_FALSE(reader.session().kernel_release.empty());
  ASSERT_EQ(reader.vcpus().size(), 1u);
  EXPECT_EQ(reader.vcpus()[0].id, 5u);
  EXPECT_GE(reader.exits(), kAfter);
  EXPECT_EQ(reader.exits() + reader.lost(), kBefore + kAfter);
  uint64_t seq = 0, gaps = 0;
  for (Item item; reader.next(item);) {
    if (item.kind == Item::Kind::kGap) {
      EXPECT_EQ(item.gap.why, GapReason::kNotInRings);
      EXPECT_EQ(item.gap.first_seq, 0u);
      seq += item.gap.lost;
      ++gaps;
    }
    if (item.kind != Item::Kind::kExit) continue;
    ASSERT_EQ(item.seq, seq);
    ++seq;
  }
  EXPECT_EQ(gaps, 1u);
  EXPECT_EQ(seq, kBefore + kAfter);
}

TEST_F(LostFileTest, WhatARecordingNeverHadIsNoGap) {
  die_after([this] {
    fs::remove_all(place_ / "gone");
    run(kAfter);
  });
  auto opened = TraceReader::open(rings());
  ASSERT_TRUE(opened) << opened.error().to_string();
  EXPECT_EQ((*opened)->exits(), kAfter);
  EXPECT_EQ((*opened)->lost(), 0u);
}

TEST_F(LostFileTest, OfAFlightRecorderTheLastExitsAreThere) {
  session_.options.flight_bytes = 64 * 1024;
  die_after([this] {
    fs::remove_all(place_ / "gone");
    run(kBefore);
  });
  auto opened = TraceReader::open(rings());
  ASSERT_TRUE(opened) << opened.error().to_string();
  TraceReader& reader = **opened;
  EXPECT_EQ(reader.lost(), 0u) << "what a flight recorder lets go of is none";
  uint64_t last = 0;
  for (Item item; reader.next(item);)
    if (item.kind == Item::Kind::kExit) last = item.seq;
  EXPECT_EQ(last, kBefore - 1);
  EXPECT_LT(reader.exits(), kBefore);
}

// A snapshot is no way to the rings, which have gone on since.
TEST_F(LostFileTest, BehindAFlightRecordersSnapshotTheyAreReadToo) {
  session_.options.flight_bytes = 64 * 1024;
  die_after([this] {
    run(kAfter);
    if (kvmtape_snapshot(session_.session, "first", nullptr) != 0) ::_exit(2);
    fs::remove(place_ / "gone/vm.2.kvmtape");
    run(kAfter);
  });
  ASSERT_TRUE(fs::exists(session_.path));
  const auto info = tool_.run(tool_line("info --json"));
  EXPECT_EQ(info.json()["totals"]["exits"], 2 * kAfter) << info.err;
}

TEST_F(LostFileTest, EveryReadVerbTakesThemAndRecoverMakesARecordingOfThem) {
  die_without_a_file();
  for (const std::string verb : {"info", "dump", "stat", "verify", "explain"})
    for (const std::string slash : {"", "/"}) {
      const ToolRun run = tool_.run(tool_line(verb) + slash);
      EXPECT_EQ(run.status, 3) << verb << run.err;
      EXPECT_THAT(run.err, AllOf(HasSubstr("rings alone, of " + session_.path),
                                 HasSubstr("run: kvmtape recover " + rings() + " -o ")))
          << verb;
    }
  const auto totals = tool_.run(tool_line("info --json")).json()["totals"];
  EXPECT_THAT(tool_.run(tool_line("info")).out, HasSubstr("lost: no more in the rings"));
  const std::string saved = tool_.file("saved.kvmtape");
  const ToolRun recover = tool_.run("recover -o " + saved + " " + rings() + "/");
  EXPECT_EQ(recover.status, 3);
  EXPECT_THAT(recover.out, HasSubstr("exits from 1 ring saved"));
  EXPECT_THAT(recover.err, AllOf(HasSubstr("had left the rings before, or been lost"),
                                 HasSubstr("are no longer needed: rm -r -- " + rings())));
  auto reader = TraceReader::open(saved);
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_TRUE((*reader)->health().sealed);
  EXPECT_EQ((*reader)->exits(), totals["exits"]);
  EXPECT_EQ((*reader)->lost(), totals["lost"]);
}

TEST_F(LostFileTest, RingsOfAFileThatIsDamagedAreSaidToStay) {
  die_after([this] {
    run_without_loss(kBefore);
    run(kAfter);
  });
  const std::string line = "recover --force -o " + tool_.file("saved") + " " + session_.path;
  EXPECT_THAT(tool_.run(line).err, HasSubstr("are no longer needed: rm -r -- " + rings()));
  std::fstream file(session_.path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(session_.path) / 2));
  file << "not what was there";
  file.close();
  const ToolRun damaged = tool_.run(line);
  EXPECT_EQ(damaged.status, 3);
  EXPECT_THAT(damaged.out, HasSubstr("in 1 damaged chunk"));
  EXPECT_THAT(damaged.err, AllOf(HasSubstr("the rings in " + rings() + " ("),
                                 HasSubstr("stay, for a better copy"), Not(HasSubstr("rm -r"))));
}

class OtherUserTest : public LostFileTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || shell("command -v setpriv").status != 0)
      GTEST_SKIP() << "needs root and setpriv, to be another user";
    if (as_nobody("--help").status != 0) GTEST_SKIP() << "nobody may not run this build";
    ASSERT_EQ(::chmod(place_.path().c_str(), 0755), 0);
  }
  static ShellRun as_nobody(const std::string& line) {
    return shell("setpriv --reuid 65534 --regid 65534 --clear-groups " KVMTAPE_BINARY_DIR
                 "/kvmtape " +
                 line + " 2>&1");
  }
  std::string forbidden() const {
    return "its rings in " + rings() + " cannot be read (Permission denied): run this as root";
  }
  void expect_it_is_said() {
    ASSERT_EQ(::chmod(session_.path.c_str(), 0644), 0);
    fs::create_directory(place_ / "out");
    ASSERT_EQ(::chmod((place_ / "out").c_str(), 0777), 0);
    const std::string recover = "recover -o " + (place_ / "out/r ");
    for (const std::string& verb :
         std::vector<std::string>{"info ", "dump ", "stat ", "verify ", "explain ", recover}) {
      const ShellRun run = as_nobody(verb + session_.path);
      EXPECT_EQ(run.status, 3) << verb << run.out;
      EXPECT_THAT(run.out, AllOf(HasSubstr(forbidden()), Not(HasSubstr("nothing to save")),
                                 Not(HasSubstr("kvmtape recover")), Not(HasSubstr("are left"))))
          << verb;
    }
    EXPECT_THAT(as_nobody("stat --live " + session_.path).out, HasSubstr(forbidden()));
    EXPECT_THAT(as_nobody("info --ring-dir " + rings() + " " + session_.path).out,
                HasSubstr(forbidden()));
  }
};

TEST_F(OtherUserTest, IsToldThatTheRingsAreNotHisAndNotThatTheyAreGone) {
  die_after([this] { run(kAfter); });
  ASSERT_EQ(::chmod(session_.ring_directory.c_str(), 0711), 0);
  ASSERT_EQ(::chmod(fs::path(session_.ring_directory).parent_path().c_str(), 0755), 0);
  expect_it_is_said();
}

TEST_F(OtherUserTest, IsToldSoWhileItRunsAndWhereNotEvenTheirDirectoryIsSeen) {
  ASSERT_TRUE(session_.open()) << session_.error.text;
  ASSERT_EQ(::chmod(session_.ring_directory.c_str(), 0700), 0);
  expect_it_is_said();
}

TEST_F(LostFileTest, WhereTheRingsAreNotThereItIsSaid) {
  die_after([this] { run(kAfter); });
  for (const char* verb : {"info ", "verify ", "recover -o saved "}) {
    const ToolRun run = tool_.run(verb + ("--ring-dir /proc " + session_.path));
    EXPECT_EQ(run.status, 3) << verb;
    EXPECT_THAT(run.err, AllOf(HasSubstr("no rings of this recording in /proc"),
                               Not(HasSubstr("are left")), Not(HasSubstr("--ring-dir"))))
        << verb;
  }
}

TEST_F(LostFileTest, WhereTheyWereMovedToIsNamedAsTheRecorderNamedIt) {
  session_.options.flight_bytes = 64 * 1024;  // nothing goes from them into the file
  die_after([this] { run(kAfter); });
  const fs::path moved = place_ / "moved";
  fs::rename(session_.ring_directory, moved);
  const std::string own = fs::directory_iterator(moved)->path();
  for (const std::string& named : {moved.string(), own}) {
    const auto info = tool_.run("info --json --ring-dir " + named + " " + session_.path).json();
    EXPECT_EQ(info["totals"]["exits"], kAfter) << named;
    EXPECT_EQ(info["storage"]["ring_exits"], kAfter) << named;
    EXPECT_THAT(tool_.run("info --ring-dir " + named + " " + session_.path).out,
                HasSubstr("exits only in rings: " + own + "\n"));
  }
}

// As somebody would who pastes it.
TEST_F(LostFileTest, TheCommandThatIsToldRemovesWhatItIsMeantToAndNothingElse) {
  session_.options.control = 1;
  session_.path = place_ / "my vm/x y's.kvmtape";
  session_.ring_directory = place_ / "rings $(too)";
  for (const char* folder : {"my vm", "rings $(too)", "my", "vm", "rings"})
    fs::create_directories(place_ / folder);
  die_after([this] { run(kAfter); });
  const std::string left = rings(), socket = session_.path + ".ctl";
  ASSERT_TRUE(fs::exists(socket));
  const std::string before = "cd " + place_.path() + " &&";
  EXPECT_THAT(tool_.run("info 'my vm/x y'\\''s.kvmtape'", before).err,
              HasSubstr("run: kvmtape recover 'my vm/x y'\\''s.kvmtape' -o saved.kvmtape\n"));
  const ToolRun recover = tool_.run("recover 'my vm/x y'\\''s.kvmtape' -o saved", before);
  constexpr std::string_view kTold = "no longer needed: ";
  const size_t at = recover.err.find(kTold);
  ASSERT_NE(at, std::string::npos) << recover.err;
  const std::string command = recover.err.substr(at + kTold.size());
  EXPECT_EQ(shell("cd " + place_.path() + " && " + command).status, 0) << command;
  EXPECT_FALSE(fs::exists(left) || fs::exists(socket)) << command;
  EXPECT_TRUE(fs::exists(session_.path));
  for (const char* folder : {"my", "vm", "rings"}) EXPECT_TRUE(fs::exists(place_ / folder));
}

TEST_F(LostFileTest, WithAFlightRecordersSnapshotItsSocketGoesToo) {
  session_.options.control = 1;
  session_.options.flight_bytes = 64 * 1024;
  die_after([this] {
    run(kAfter);
    for (const char* why : {"one", "two"})
      if (kvmtape_snapshot(session_.session, why, nullptr) != 0) ::_exit(2);
    run(kAfter);
  });
  const std::string socket = session_.path + ".ctl";
  const ToolRun recover = tool_.run("recover -o saved " + (place_ / "gone/vm.3.kvmtape"));
  EXPECT_THAT(recover.err, HasSubstr("rm -r -- " + rings() + " && rm -- " + socket + "\n"));
  const ToolRun info = tool_.run("info " + socket);
  EXPECT_EQ(info.status, 2);
  EXPECT_THAT(info.err, HasSubstr("is the control socket of " + session_.path + ": name that"));
}

// Which knows nothing of the rings that it was taken from.
TEST_F(LostFileTest, ASnapshotThatIsThereIsNotCalledGone) {
  session_.options.flight_bytes = 64 * 1024;
  die_after([this] {
    run(kBefore);
    if (kvmtape_snapshot(session_.session, "one", nullptr) != 0) ::_exit(2);
    run(kAfter);
  });
  const ToolRun run = tool_.run("info " + rings());
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, AllOf(HasSubstr("rings alone: " + session_.path + " stands for itself"),
                             Not(HasSubstr("not there"))));
  EXPECT_THAT(tool_.run("recover -o saved " + rings()).err, Not(HasSubstr("that is gone")));
}

TEST_F(LostFileTest, TheLinkAmongThemSaysWhereItPointsAndLeadsToThem) {
  die_without_a_file();
  const ToolRun run = tool_.run("info " + rings() + "/" + kTraceLinkName);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("is a link to " + session_.path + ", which is not there"),
                             HasSubstr("its rings are left: name " + rings() + " instead")));
}

TEST_F(LostFileTest, WhoNamesTheFileThatIsGoneIsLedToThem) {
  session_.ring_directory.clear();
  die_without_a_file();
  const ToolRun run = tool_.run("recover -o " + tool_.file("no") + " " + session_.path);
  EXPECT_EQ(run.status, 2);
  const size_t at = run.err.find(default_ring_directory());
  ASSERT_NE(at, std::string::npos) << run.err;
  const std::string rings = run.err.substr(at, run.err.find(' ', at) - at);
  EXPECT_EQ(tool_.run("info " + rings).status, 3);
  fs::remove_all(rings);
}

TEST_F(LostFileTest, TheHeadersCopyIsPrivateAndGoesWithTheRings) {
  ASSERT_TRUE(session_.open()) << session_.error.text;
  struct stat status {};
  ASSERT_EQ(::lstat((rings() + "/" + kHeaderCopyName).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0600u);
  tape_ = session_.attach(0, vcpu_);
  run(100);
  ASSERT_EQ(kvmtape_snapshot(session_.session, "with its vCPU", nullptr), 0);
  const auto copy =
      TraceReader::open(rings() + "/" + kHeaderCopyName,
                        {.with_rings = false, .ring_directory = {}, .verify_checksums = true});
  ASSERT_TRUE(copy) << copy.error().to_string();
  EXPECT_EQ((*copy)->session().vcpus.size(), 1u);
  ASSERT_EQ(session_.close(), 0);
  EXPECT_TRUE(fs::is_empty(session_.ring_directory));
}

}  // namespace
}  // namespace kvmtape::testing
