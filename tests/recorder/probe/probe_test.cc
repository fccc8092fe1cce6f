// The probe against this machine's KVM. What each guest gives depends on the kernel; what is tested
// is what must hold on every one, and what every x86-64 KVM gives. Without a /dev/kvm that works
// the tests that need it are skipped, with the reason that the probe itself states.
#include "recorder/probe/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace kvmtape {
namespace {

using ::testing::HasSubstr;

class TraceInNewFolder {
 public:
  TraceInNewFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "probe_test.XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~TraceInNewFolder() { std::filesystem::remove_all(folder_); }
  std::string path() const { return (folder_ / "t.kvmtape").string(); }

 private:
  std::filesystem::path folder_;
};

// However busy the machine is; for guests that end by themselves.
constexpr std::chrono::seconds kTimeEnough{60};

class ProbeOnKvm : public ::testing::Test {
 protected:
  // Runs the guests of `only` (all when empty); skips the test where this machine has no KVM.
  void probe(std::vector<std::string> only, std::chrono::seconds guest_time_max = kGuestTimeMax) {
    Result<ProbeReport> result = run(std::move(only), guest_time_max, false);
    if (!result && result.error().code == ErrorCode::kRefused) {
      GTEST_SKIP() << result.error().to_string();
    }
    ASSERT_TRUE(result) << result.error().to_string();
    report_ = std::move(*result);
  }

  // As often as is asked, into the same trace.
  Result<ProbeReport> run(std::vector<std::string> only, std::chrono::seconds guest_time_max,
                          bool poison) const {
    ProbeOptions options;
    options.path = trace_.path();
    options.force = true;
    options.only = std::move(only);
    options.guest_time_max = guest_time_max;
    options.poison = poison;
    return run_probe(options);
  }

  TraceInNewFolder trace_;
  ProbeReport report_;
};

#define PROBE_OR_SKIP(...)                        \
  do {                                            \
    probe(__VA_ARGS__);                           \
    if (IsSkipped() || HasFatalFailure()) return; \
  } while (false)

TEST(ProbeErrors, UnknownGuestIsAUsageErrorThatSaysWhereTheNamesAre) {
  ProbeOptions options;
  options.only = {"no_such_guest"};
  const Result<ProbeReport> result = run_probe(options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_THAT(result.error().message, HasSubstr("--list"));
}

TEST(ProbeErrors, MissingDeviceIsRefusedAndLeavesNoTrace) {
  const TraceInNewFolder trace;
  ProbeOptions options;
  options.path = trace.path();
  options.kvm_device = "/dev/there-is-no-kvm-here";
  const Result<ProbeReport> result = run_probe(options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kRefused);
  EXPECT_THAT(result.error().to_string(), HasSubstr("/dev/there-is-no-kvm-here: cannot open"));
  EXPECT_FALSE(std::filesystem::exists(trace.path()));
}

TEST(ProbeErrors, DeviceThatIsNotKvmIsRefused) {
  ProbeOptions options;
  options.kvm_device = "/dev/null";
  const Result<ProbeReport> result = run_probe(options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kRefused);
}

TEST_F(ProbeOnKvm, BatteryEndsAndEveryExitIsRecorded) {
  PROBE_OR_SKIP({});  // of which some spin on some kernels: only their time ends these
  ASSERT_EQ(report_.guests.size(), list_guests().size());
  uint64_t exits = 0;
  for (const GuestReport& guest : report_.guests) {
    exits += guest.exits;
    EXPECT_TRUE(guest.outcome == GuestOutcome::kAsExpected || !guest.detail.empty())
        << guest.name << " does not say why";
  }
  EXPECT_EQ(report_.totals.exits, exits);
  EXPECT_EQ(report_.totals.lost, 0u);
  EXPECT_TRUE(std::filesystem::exists(report_.path));
}

TEST_F(ProbeOnKvm, PoisonDoesNotChangeWhatAGuestGives) {
  PROBE_OR_SKIP({});
  const ProbeReport clean = report_;
  const Result<ProbeReport> poisoned = run({}, kGuestTimeMax, true);
  ASSERT_TRUE(poisoned) << poisoned.error().to_string();
  ASSERT_EQ(poisoned->guests.size(), clean.guests.size());
  for (size_t i = 0; i < clean.guests.size(); ++i) {
    const std::string& name = clean.guests[i].name;
    if (poisoned->guests[i].outcome == clean.guests[i].outcome) continue;
    // The machine may have been held up for all of one's time.
    probe({name}, kTimeEnough);
    const Result<ProbeReport> again = run({name}, kTimeEnough, true);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(again->guests[0].outcome, report_.guests[0].outcome)
        << name << ": " << again->guests[0].detail;
  }
}

#if defined(__x86_64__)
TEST_F(ProbeOnKvm, PlainIoMmioAndHltComeAsExpectedOnEveryKvm) {
  PROBE_OR_SKIP({"io_out", "io_in", "mmio_write", "mmio_read", "hlt", "shutdown", "several_vcpus",
                 "intr_signal"},
                kTimeEnough);
  for (const GuestReport& guest : report_.guests) {
    EXPECT_EQ(guest.outcome, GuestOutcome::kAsExpected) << guest.name << ": " << guest.detail;
  }
}

TEST_F(ProbeOnKvm, GuestsRunInTheBatterysOrderWhateverTheOrderOfTheirNames) {
  PROBE_OR_SKIP({"hlt", "io_out"}, kTimeEnough);
  ASSERT_EQ(report_.guests.size(), 2u);
  EXPECT_EQ(report_.guests[0].name, "io_out");
  EXPECT_EQ(report_.guests[0].exits, 4u);  // three OUTs and a HLT
  EXPECT_EQ(report_.guests[1].name, "hlt");
}
#endif

TEST_F(ProbeOnKvm, ExistingTraceAsksForForce) {
  const std::string first = list_guests().front().name;
  PROBE_OR_SKIP({first});
  ProbeOptions options;
  options.path = trace_.path();
  options.only = {first};
  EXPECT_FALSE(run_probe(options));
  options.force = true;
  EXPECT_TRUE(run_probe(options));
}

}  // namespace
}  // namespace kvmtape
