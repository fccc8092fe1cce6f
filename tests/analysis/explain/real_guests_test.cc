// The part of the corpus that is recorded anew each time: small guests on this machine's KVM
// (guests/), each with the cause that must come first, and healthy ones for which nothing may be
// found. Without a /dev/kvm that works they are skipped.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "recorder/probe/deadline.h"
#include "schema/base/unique_fd.h"
#include "tests/analysis/explain/guests/guests.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kExitsMax = 100'000;
constexpr std::chrono::seconds kTimeMax{120};  // for what hangs
constexpr int kTriesMax = 5;
constexpr std::string_view kMonitorAway = "monitor-away";
constexpr double kStormPerSecond = 20'000;  // exit_storm.cc's

class RealGuests : public ::testing::Test {
 protected:
  void SetUp() override {
    kvm.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm.valid()) GTEST_SKIP() << "/dev/kvm cannot be opened: " << std::strerror(errno);
  }

  // Where the trace lies; empty: this KVM refused the guest, which is noted.
  std::string record(const RealGuest& guest) {
    kvmtape_options options;
    kvmtape_options_init(&options);
    const std::string path = scratch.file(fmt::format("{}.kvmtape", ++recorded));
    options.path = path.c_str();
    options.ring_bytes = 8u << 20;
    options.flight_bytes = guest.is_flight ? 64u << 10 : 0;
    options.triggers = "end";
    options.registers = guest.registers;
    options.allow_vcpu_ioctls = 1;
    options.kvm_fd = kvm.get();
    options.monitor_name = "real_guests_test";
    kvmtape_error error = {};
    kvmtape_session* session = kvmtape_open(&options, &error);
    EXPECT_NE(session, nullptr) << error.text;
    Stage stage(kvm.get(), session, false, kExitsMax);
    {
      const KickHandler kick_handler;
      const Deadline deadline(kTimeMax);
      guest.play(stage);
    }
    EXPECT_EQ(kvmtape_close(session, nullptr, &error), 0) << error.text;
    EXPECT_NE(stage.outcome(), GuestOutcome::kDiffers) << guest.name << ": " << stage.detail();
    if (stage.outcome() == GuestOutcome::kAsExpected) return path;
    leave_out(guest, stage.detail());
    return {};
  }
  void leave_out(const RealGuest& guest, const std::string& why) {
    left_out += fmt::format("{}{}: {}", left_out.empty() ? "" : "; ", guest.name, why);
  }
  // What is found in a recording of it, none where KVM refused it. Where this machine stood still
  // for a second the monitor was away, truly: that recording says nothing of the guest, another
  // does.
  std::unique_ptr<Explained> explain_anew(const RealGuest& guest) {
    const bool is_away =
        guest.competing == kMonitorAway || std::ranges::count(guest.first, kMonitorAway) != 0;
    for (int tries = 1;; ++tries) {
      const std::string path = record(guest);
      if (path.empty()) return nullptr;
      auto explained = std::make_unique<Explained>(path);
      if (is_away || tries == kTriesMax || !explained->found(kMonitorAway)) return explained;
    }
  }
  // A storm on a machine that was too busy for one.
  static bool is_slow(const RealGuest& guest, const Explained& explained) {
    const Case& all = *explained.explanation().all;
    const double seconds = static_cast<double>(all.reader.duration_ns()) / 1e9;
    return guest.is_storm && static_cast<double>(all.exits) < kStormPerSecond * seconds;
  }
  void expect_causes_of(std::span<const RealGuest> guests) {
    for (const RealGuest& guest : guests) {
      const auto found = explain_anew(guest);
      if (!found) continue;
      const Explained& explained = *found;
      if (is_slow(guest, explained)) {
        leave_out(guest, "this machine is too busy for a storm of exits");
        continue;
      }
      EXPECT_THAT(guest.first, Contains(explained.first())) << guest.name;
      if (!guest.competing.empty()) {
        EXPECT_THAT(explained.causes(), Contains(guest.competing)) << guest.name;
      }
      if (guest.says.empty() || explained.causes().empty()) continue;
      EXPECT_THAT(explained.all_said(explained.first()), HasSubstr(std::string(guest.says)))
          << guest.name;
    }
    if (!left_out.empty()) GTEST_SKIP() << left_out;
  }

  UniqueFd kvm;
  ScratchDirectory scratch;
  int recorded = 0;
  std::string left_out;  // guests that this machine's KVM refused, or was too busy for
};

TEST_F(RealGuests, TripleFaultsHaveTheirCauseFirst) { expect_causes_of(triple_faults()); }

TEST_F(RealGuests, StrayJumpsHaveTheirCauseFirst) { expect_causes_of(stray_jumps()); }

TEST_F(RealGuests, DeathsOfDevicesHaveTheirCauseFirst) { expect_causes_of(devices()); }

TEST_F(RealGuests, LastWordsComeBeforeTheExitThatFollows) { expect_causes_of(last_words()); }

TEST_F(RealGuests, WhatTheMonitorDidComesFirst) { expect_causes_of(monitors_doings()); }

TEST_F(RealGuests, NothingIsFoundInHealthyOnes) {
  for (const RealGuest& guest : healthy()) {
    const auto explained = explain_anew(guest);
    if (!explained) continue;
    EXPECT_THAT(explained->causes(), IsEmpty()) << guest.name;
  }
  if (!left_out.empty()) GTEST_SKIP() << left_out;
}

TEST(RealGuestsOfTheCorpus, AreMostOfIt) {
  size_t guests = 0, with_two_causes = 0;
  for (const auto list :
       {triple_faults(), stray_jumps(), devices(), last_words(), monitors_doings()})
    for (const RealGuest& guest : list) {
      ++guests;
      with_two_causes += guest.competing.empty() ? 0 : 1;
    }
  EXPECT_GE(guests, 30u);
  EXPECT_GE(with_two_causes, 10u);
  EXPECT_GE(healthy().size(), 10u);
}

}  // namespace
}  // namespace kvmtape::testing
