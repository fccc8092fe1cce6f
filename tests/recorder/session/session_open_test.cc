// Opening and closing: arguments, names, modes, and what is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <vector>

#include "tests/support/small_file_system.h"
#include "tests/support/test_session.h"

extern "C" int record_from_c(const char* path, void* run, size_t run_bytes);

namespace kvmtape::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

uint32_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

TEST(SessionOpen, NothingHappensWithoutASession) {
  kvmtape_error error;
  FakeVcpu vcpu;
  EXPECT_EQ(kvmtape_attach_vcpu(nullptr, 0, -1, vcpu.mapping(), vcpu.mapping_bytes(), &error),
            nullptr);
  EXPECT_EQ(kvmtape_attach_vcpu(nullptr, 0, -1, nullptr, 0, nullptr), nullptr);
  kvmtape_exit(nullptr, 0, 0);
  kvmtape_enter(nullptr);
  EXPECT_EQ(kvmtape_control_call(nullptr, KVMTAPE_VM, nullptr, 0, 0, nullptr, 0, nullptr, 0, 0, 0),
            0);
  EXPECT_EQ(kvmtape_mark(nullptr, "text"), 0);
  EXPECT_EQ(kvmtape_snapshot(nullptr, "why", &error), 0);
  kvmtape_totals totals{1, 1, 1, 1, 1};
  kvmtape_get_totals(nullptr, &totals);
  EXPECT_EQ(totals.exits + totals.lost + totals.bytes + totals.vcpus + totals.write_errors, 0u);
  kvmtape_get_totals(nullptr, nullptr);
  EXPECT_STREQ(kvmtape_path(nullptr), "");
  EXPECT_EQ(kvmtape_close(nullptr, nullptr, nullptr), 0);
}

TEST(SessionOpen, TakesNullForWhatIsOptional) {
  TestSession test;
  ASSERT_TRUE(test.open()) << test.error.text;
  EXPECT_EQ(kvmtape_mark(test.session, nullptr), 0);
  EXPECT_EQ(kvmtape_snapshot(test.session, nullptr, nullptr), 0);
  FakeVcpu vcpu;
  EXPECT_NE(kvmtape_attach_vcpu(test.session, 0, -1, vcpu.mapping(), vcpu.mapping_bytes(), nullptr),
            nullptr);
  EXPECT_EQ(kvmtape_close(test.session, nullptr, nullptr), 0);
  test.session = nullptr;
}

TEST(SessionOpen, RefusesOptionsThatWereNotInitialised) {
  kvmtape_error error{};
  EXPECT_EQ(kvmtape_open(nullptr, &error), nullptr);
  kvmtape_options options{};
  EXPECT_EQ(kvmtape_open(&options, &error), nullptr);
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_THAT(error.text, HasSubstr("kvmtape_options_init"));
  EXPECT_EQ(kvmtape_open(&options, nullptr), nullptr);
}

TEST(SessionOpen, DefaultsGoNoFurtherThanTheCallersStruct) {
  kvmtape_options options;
  std::memset(&options, 0x5a, sizeof options);
  constexpr size_t kOlder = offsetof(kvmtape_options, flight_bytes);
  kvmtape_options_init_sized(&options, kOlder);
  EXPECT_EQ(options.struct_bytes, kOlder);
  EXPECT_EQ(options.vm_fd, -1);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&options);
  EXPECT_THAT(std::vector(bytes + kOlder, bytes + sizeof options), ::testing::Each(0x5a));
}

TEST(SessionOpen, AnOlderMonitorsShorterOptionsKeepTheirDefaults) {
  TestSession test;
  // As if everything from ring_full on had been added later; what lies there is not ours.
  std::memset(reinterpret_cast<char*>(&test.options) + offsetof(kvmtape_options, ring_full), 0xff,
              sizeof test.options - offsetof(kvmtape_options, ring_full));
  test.options.struct_bytes = offsetof(kvmtape_options, ring_full);
  ASSERT_TRUE(test.open()) << test.error.text;
  EXPECT_EQ(test.close(), 0) << test.error.text;
  auto trace = walk_trace(test.path);
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(trace->session.ring_full, "drop");
  EXPECT_EQ(trace->session.register_policy, "debug-exits");
}

TEST(SessionOpen, AnExistingFileAsksForForce) {
  TestSession test;
  ASSERT_TRUE(test.open()) << test.error.text;
  ASSERT_EQ(test.close(), 0);
  const auto before = file_bytes(test.path);
  EXPECT_FALSE(test.open());
  EXPECT_EQ(test.error.code, EINVAL);
  EXPECT_THAT(test.error.text, HasSubstr(test.path + ": exists already: use --force"));
  EXPECT_EQ(file_bytes(test.path), before);
  test.options.force = 1;
  ASSERT_TRUE(test.open()) << test.error.text;
  ASSERT_EQ(test.close(), 0);
  EXPECT_NE(file_bytes(test.path), before);
}

TEST(SessionOpen, SaysWhatIsWrongWithThePath) {
  TestSession test;
  const std::string directory = fs::path(test.path).parent_path();
  test.path = directory;
  test.options.force = 1;
  EXPECT_FALSE(test.open());
  EXPECT_THAT(test.error.text, HasSubstr(directory + ": is a directory: name a file"));
  test.path = directory + "/missing/vm.kvmtape";
  EXPECT_FALSE(test.open());
  EXPECT_THAT(test.error.text,
              HasSubstr(test.path + ": cannot create the trace: No such file or directory"));
  test.path = directory + "/link";
  fs::create_symlink("elsewhere", test.path);
  EXPECT_FALSE(test.open());
  EXPECT_THAT(test.error.text, HasSubstr("is not a regular file"));
}

TEST(SessionOpen, LeavesNoTraceBehindWhenThereIsNoPlaceForRings) {
  TestSession test;
  test.ring_directory = fs::path(test.path).parent_path() / "missing" / "rings";
  EXPECT_FALSE(test.open());
  EXPECT_THAT(test.error.text, HasSubstr("rings: cannot use it as ring directory"));
  EXPECT_FALSE(fs::exists(test.path));
}

TEST(SessionOpen, LeavesNothingBehindWhenSharedMemoryIsFull) {
  SmallFileSystem small(64 * 1024);
  if (!small.mounted()) GTEST_SKIP() << small.why_not();
  TestSession test;
  test.ring_directory = small.path();
  EXPECT_FALSE(test.open());
  EXPECT_THAT(test.error.text, HasSubstr("no room for a ring"));
  EXPECT_FALSE(fs::exists(test.path));
  EXPECT_TRUE(fs::is_empty(small.path()));
}

TEST(SessionOpen, TraceAndRingsAreForTheirOwnerAloneAndRingsGoAtTheEnd) {
  TestSession test;
  ASSERT_TRUE(test.open()) << test.error.text;
  FakeVcpu vcpu;
  ASSERT_NE(test.attach(3, vcpu), nullptr);
  EXPECT_EQ(mode_of(test.path), 0600u);
  ASSERT_EQ(std::distance(fs::directory_iterator(test.ring_directory), {}), 1);
  const std::string rings = fs::directory_iterator(test.ring_directory)->path();
  EXPECT_EQ(mode_of(rings), 0700u);
  EXPECT_EQ(mode_of(rings + "/session.ring"), 0600u);
  EXPECT_EQ(mode_of(rings + "/vcpu-0.ring"), 0600u);
  ASSERT_EQ(test.close(), 0) << test.error.text;
  EXPECT_FALSE(fs::exists(rings));
  EXPECT_TRUE(fs::exists(test.ring_directory)) << "named by the user, so not ours to remove";
}

// While it lives, the test is a user of its own, whose default place no other recording shares.
class LonelyUser {
 public:
  LonelyUser() : alone_(::seteuid(1'000'000 + static_cast<uid_t>(::getpid())) == 0) {}
  ~LonelyUser() {
    if (alone_ && ::seteuid(0) != 0) ADD_FAILURE() << "cannot be root again";
  }
  LonelyUser(const LonelyUser&) = delete;
  bool alone() const { return alone_; }

 private:
  bool alone_;
};

TEST(SessionOpen, TheDefaultPlaceForRingsGoesWithItsLastSession) {
  const LonelyUser user;
  if (!user.alone()) GTEST_SKIP() << "needs root, to be a user who records nothing else";
  const std::string place = "/dev/shm/kvmtape-" + std::to_string(::geteuid());
  TestSession first, second;
  first.ring_directory = second.ring_directory = "";
  ASSERT_TRUE(first.open()) << first.error.text;
  ASSERT_TRUE(second.open()) << second.error.text;
  EXPECT_EQ(mode_of(place), 0700u);
  EXPECT_EQ(first.close(), 0);
  EXPECT_TRUE(fs::exists(place));
  EXPECT_EQ(second.close(), 0);
  EXPECT_FALSE(fs::exists(place));
}

TEST(SessionOpen, WithoutAPathTheTraceGoesToTheUsersDirectoryAndIsTheLatest) {
  TestSession test;
  const std::string directory = fs::path(test.path).parent_path() / "recordings";
  ::setenv("KVMTAPE_DIR", directory.c_str(), 1);
  test.options.path = nullptr;
  test.options.ring_directory = nullptr;
  kvmtape_error error;
  kvmtape_session* session = kvmtape_open(&test.options, &error);
  ::unsetenv("KVMTAPE_DIR");
  ASSERT_NE(session, nullptr) << error.text;
  const std::string path = kvmtape_path(session);
  EXPECT_THAT(path, HasSubstr(directory + "/test-"));
  EXPECT_THAT(path, EndsWith(".kvmtape"));
  EXPECT_EQ(kvmtape_close(session, nullptr, nullptr), 0);
  EXPECT_TRUE(walk_trace(path)->sealed);
}

TEST(SessionOpen, ACProgramCanUseIt) {
  ScratchDirectory directory;
  FakeVcpu vcpu;
  EXPECT_EQ(record_from_c((directory / "c.kvmtape").c_str(), vcpu.mapping(), vcpu.mapping_bytes()),
            0);
}

TEST(SessionOpen, AttachingRefusesAMappingThatCannotBeOne) {
  TestSession test;
  ASSERT_TRUE(test.open());
  FakeVcpu vcpu;
  EXPECT_EQ(kvmtape_attach_vcpu(test.session, 0, -1, nullptr, 4096, &test.error), nullptr);
  EXPECT_EQ(test.error.code, EINVAL);
  EXPECT_EQ(kvmtape_attach_vcpu(test.session, 0, -1, vcpu.mapping(), 287, &test.error), nullptr);
  auto* crooked = static_cast<uint8_t*>(vcpu.mapping()) + 1;
  EXPECT_EQ(kvmtape_attach_vcpu(test.session, 0, -1, crooked, 4096, &test.error), nullptr);
  EXPECT_THAT(test.error.text, HasSubstr("KVM_GET_VCPU_MMAP_SIZE"));
}

}  // namespace
}  // namespace kvmtape::testing
