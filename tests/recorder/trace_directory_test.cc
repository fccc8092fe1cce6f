// Where recordings go when nobody says, and where they do not.
#include "recorder/trace_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class TraceDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("KVMTAPE_DIR");
    ::unsetenv("XDG_DATA_HOME");
  }
  // As the default directory, with `mode`.
  std::string make(mode_t mode) {
    const std::string path = scratch.file("recordings");
    fs::create_directory(path);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    ::setenv("KVMTAPE_DIR", path.c_str(), 1);
    return path;
  }
  ScratchDirectory scratch;
};

TEST_F(TraceDirectory, WithoutHomeTheUserDatabaseSaysWhereItIs) {
  ::unsetenv("HOME");
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry == nullptr) GTEST_SKIP() << "this user is in no user database";
  EXPECT_EQ(trace_directory(), std::string(entry->pw_dir) + "/.local/share/kvmtape");
}

TEST_F(TraceDirectory, WhereAnybodyMayWriteNothingIsReadOrWritten) {
  const std::string path = make(0777);
  fs::create_symlink("/etc/passwd", path + "/latest");
  for (const mode_t mode : {0777u, 01777u}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto fresh = new_trace_path("vm");
    ASSERT_FALSE(fresh.ok());
    EXPECT_THAT(fresh.error().to_string(), HasSubstr("chmod 700"));
    EXPECT_FALSE(latest_trace().ok());
  }
}

TEST_F(TraceDirectory, WhereTheyLeadTheLinksInItLeaveAlone) {
  const std::string path = make(0700), victim = scratch.file("victim");
  write_file(victim, std::vector<uint8_t>{1, 2, 3});
  fs::create_symlink(victim, path + "/latest");
  fs::create_symlink(victim, path + "/.latest-" + std::to_string(::getpid()));
  const auto fresh = new_trace_path("vm");
  ASSERT_TRUE(fresh.ok());
  update_latest(*fresh);
  EXPECT_EQ(file_bytes(victim), (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(fs::read_symlink(path + "/latest"), fs::path(*fresh).filename());
  EXPECT_EQ(std::distance(fs::directory_iterator(path), {}), 1) << "nothing is left over";
}

TEST_F(TraceDirectory, ARelativeOneIsOfTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(scratch.file(""));
  ::setenv("KVMTAPE_DIR", "recordings", 1);
  const auto fresh = new_trace_path("vm");
  const bool is_there = fs::is_directory(scratch.file("recordings"));
  fs::current_path(before);
  ASSERT_TRUE(fresh.ok()) << fresh.error().to_string();
  EXPECT_TRUE(is_there);
  EXPECT_TRUE(fs::path(*fresh).is_absolute());
}

TEST_F(TraceDirectory, ALatestThatIsGoneIsSaidToBe) {
  const std::string path = make(0700);
  fs::create_symlink("gone.kvmtape", path + "/latest");
  const auto latest = latest_trace();
  ASSERT_FALSE(latest.ok());
  EXPECT_THAT(latest.error().to_string(), HasSubstr("gone.kvmtape: the latest recording is gone"));
}

TEST_F(TraceDirectory, AnotherUsersDirectoryIsRefused) {
  const std::string path = make(0700);
  if (::chown(path.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "needs root to give it away";
  const auto fresh = new_trace_path("vm");
  ASSERT_FALSE(fresh.ok());
  EXPECT_THAT(fresh.error().to_string(), HasSubstr("uid 65534"));
}

TEST_F(TraceDirectory, OnesOwnIsTakenAndLatestFollows) {
  make(0750);
  const auto fresh = new_trace_path("vm");
  ASSERT_TRUE(fresh.ok()) << fresh.error().to_string();
  write_file(*fresh, std::vector<uint8_t>{1});
  update_latest(*fresh);
  const auto latest = latest_trace();
  ASSERT_TRUE(latest.ok()) << latest.error().to_string();
  EXPECT_EQ(*latest, *fresh);
}

}  // namespace
}  // namespace kvmtape::testing
