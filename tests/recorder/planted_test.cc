// Somebody who may write where a recording goes has put links in its way. None is followed: what
// they lead to stays as it is, and the guest does not notice. The links are the recording user's
// own, which the kernel follows wherever they lie (fs.protected_symlinks stops other users' in
// sticky directories alone), in a directory that is sticky and open to everybody, as /tmp is.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "recorder/control/control_server.h"
#include "recorder/control/unix_socket.h"
#include "replayer/trace_reader.h"
#include "schema/ring_file.h"
#include "tests/support/run_tool.h"
#include "tests/support/test_session.h"

namespace kvmtape::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PlantedTest : public ::testing::Test {
 protected:
  PlantedTest() {
    EXPECT_EQ(::chmod(shared_.path().c_str(), 01777), 0);
    session_.path = shared_ / "vm.kvmtape";
    session_.options.registers = KVMTAPE_REGISTERS_NEVER;
    write_file(target_, secret_);
  }
  void plant(const std::string& name) { fs::create_symlink(target_, shared_ / name); }
  void open() {
    ASSERT_TRUE(session_.open()) << session_.error.text;
    tape_ = session_.attach(0, vcpu_);
  }
  void run(uint64_t exits) { session_.run_noisily(tape_, vcpu_, exits); }
  void expect_untouched(const std::string& name) {
    EXPECT_EQ(file_bytes(target_), secret_);
    EXPECT_TRUE(fs::is_symlink(shared_ / name));
  }

  const ScratchDirectory shared_, private_;
  const std::vector<uint8_t> secret_ = {'s', 'e', 'c', 'r', 'e', 't'};
  const std::string target_ = private_ / "target";
  TestSession session_;
  FakeVcpu vcpu_;
  kvmtape_vcpu* tape_ = nullptr;
};

TEST_F(PlantedTest, WhereTheTraceGoesALinkIsRefusedEvenWithForce) {
  plant("vm.kvmtape");
  for (const int force : {0, 1}) {
    session_.options.force = force;
    EXPECT_FALSE(session_.open());
    EXPECT_THAT(session_.error.text, HasSubstr("is not a regular file: name another"));
  }
  expect_untouched("vm.kvmtape");
}

TEST_F(PlantedTest, ALinkThatLeadsNowhereMakesNoFileThere) {
  fs::remove(target_);
  plant("vm.kvmtape");
  EXPECT_FALSE(session_.open());
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(PlantedTest, BesideAnOldTraceTheNewOnesNameIsNotFollowed) {
  write_file(session_.path, secret_);
  const std::string fresh = "vm.kvmtape.new-" + std::to_string(::getpid());
  plant(fresh);
  session_.options.force = 1;
  open();
  run(10);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  EXPECT_EQ(file_bytes(target_), secret_);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(session_.path)));
  EXPECT_TRUE(TraceReader::open(session_.path).ok());
}

TEST_F(PlantedTest, TheNextFilesNameIsNotFollowedAndAnotherIsTaken) {
  plant("vm.kvmtape.next");
  session_.options.max_file_bytes = 256 * 1024;
  session_.options.ring_bytes = 4 << 20;  // nothing is lost, whatever is held up
  open();
  run(10'000);
  kvmtape_totals totals;
  kvmtape_get_totals(session_.session, &totals);
  EXPECT_EQ(totals.write_errors, 0u);
  EXPECT_EQ(session_.close(), 0) << session_.error.text;
  expect_untouched("vm.kvmtape.next");
  EXPECT_TRUE(TraceReader::open(shared_ / "vm.1.kvmtape").ok());
}

TEST_F(PlantedTest, WhereAFullFileIsPutAsideALinkStaysAndAnotherNumberIsTaken) {
  plant("vm.1.kvmtape");
  session_.options.max_file_bytes = 256 * 1024;
  session_.options.ring_bytes = 4 << 20;
  open();
  run(10'000);
  ASSERT_EQ(session_.close(), 0) << session_.error.text;
  expect_untouched("vm.1.kvmtape");
  EXPECT_TRUE(TraceReader::open(shared_ / "vm.2.kvmtape").ok());
}

TEST_F(PlantedTest, ALinkInPlaceOfTheRemovedTraceIsNotFollowed) {
  open();
  run(100);
  plant("link");
  fs::rename(shared_ / "link", session_.path);  // at once, or a new file comes in between
  run(100);
  EXPECT_EQ(kvmtape_snapshot(session_.session, "", &session_.error), -1);
  EXPECT_THAT(session_.error.text, HasSubstr("is not a regular file"));
  expect_untouched("vm.kvmtape");
}

TEST_F(PlantedTest, WhereTheControlSocketGoesALinkStaysAndRecordingDoesWithout) {
  plant("vm.kvmtape.ctl");
  session_.options.control = 1;
  open();
  run(10);
  EXPECT_EQ(session_.close(), 0) << session_.error.text;
  expect_untouched("vm.kvmtape.ctl");
}

TEST_F(PlantedTest, WhoSteersDoesNotFollowALinkToSomebodyElsesSocket) {
  const auto listener = listen_at(private_ / "other");
  ASSERT_TRUE(listener.ok()) << listener.error().to_string();
  ASSERT_TRUE(connect_to(private_ / "other").ok());
  fs::create_symlink(private_ / "other", control_path(session_.path));
  EXPECT_FALSE(connect_to(control_path(session_.path)).ok());
}

TEST_F(PlantedTest, WhoSteersDoesNotTalkToAnotherUserWhoListensBesideTheTrace) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  open();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const auto listener = listen_at(control_path(session_.path));
    (void)!::write(ready[1], listener.ok() ? "y" : "n", 1);
    ::pause();
  }
  char listens = 0;
  ASSERT_EQ(::read(ready[0], &listens, 1), 1);
  ASSERT_EQ(listens, 'y');
  const ToolRun run = Tool().run("ctl " + session_.path + " status");
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("it is not the recorder of this trace who listens here"));
}

TEST_F(PlantedTest, ARingThatIsALinkIsNotRead) {
  open();
  run(10);
  const std::string rings = fs::directory_iterator(session_.ring_directory)->path().string();
  const std::string ring = rings + "/" + ring_file_name(0);
  ASSERT_TRUE(RingFile::open(ring, RingFile::Access::kCopy).ok());
  fs::create_symlink(ring, shared_ / "vcpu-0.ring");
  EXPECT_FALSE(RingFile::open(shared_ / "vcpu-0.ring", RingFile::Access::kCopy).ok());
}

}  // namespace
}  // namespace kvmtape::testing
