// Guests of `kvmtape probe` write what they see of the kernel: a row of kernel_changes explains the
// very exits in which that shows, and nothing else that such a guest does.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kDevice = 0xd0000000;

struct Write {
  uint64_t address;
  uint8_t value;
};

class ProbeGuestTest : public ::testing::Test {
 protected:
  std::unique_ptr<TraceReader> recorded(const std::string& kernel, const std::string& guest,
                                        const std::vector<Write>& writes) {
    SyntheticTrace trace;
    trace.arm64(kernel).builder().add_mark(fmt::format("probe {}: what it is for", guest));
    for (const Write& write : writes)
      trace.mmio_write(write.address, {write.value, 0, 0, 0, 0, 0, 0, 0});
    auto opened = TraceReader::open(trace.write_to(scratch_.file(std::to_string(++files_))));
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }

  // "changed mmio 0xd0000010 arm64-os-lock": each difference between 5.10 and 6.1, and what
  // explains it.
  std::vector<std::string> told(const std::string& guest, const std::vector<Write>& before,
                                const std::vector<Write>& after) {
    DiffOptions options;
    options.rules.ignored_fields = {"flags"};
    const auto diff =
        compare(*recorded("5.10.0", guest, before), *recorded("6.1.0", guest, after), options);
    EXPECT_TRUE(diff.ok());
    std::vector<std::string> lines;
    for (const ExitChange& change : diff->changes) {
      const ExitSide& side = change.a.name.empty() ? change.b : change.a;
      lines.push_back(fmt::format("{} {}", to_string(change.kind), side.key));
      for (const auto& explanation : change.explained_by)
        lines.back() += fmt::format(" {}", explanation.change->id);
    }
    return lines;
  }

  ScratchDirectory scratch_;
  int files_ = 0;
};

TEST_F(ProbeGuestTest, DataIsExplainedOnlyWhereTheGuestWritesWhatItSees) {
  const auto lock = [](uint8_t at_10, uint8_t at_18) {
    return std::vector<Write>{{kDevice, 0}, {kDevice + 0x10, at_10}, {kDevice + 0x18, at_18}};
  };
  EXPECT_THAT(told("os_lock", lock(8, 8), lock(10, 8)),
              ElementsAre("changed mmio 0xd0000010 arm64-os-lock"));
  EXPECT_THAT(told("os_lock", lock(8, 8), lock(10, 9)),
              ElementsAre("changed mmio 0xd0000010 arm64-os-lock", "changed mmio 0xd0000018"));
  EXPECT_THAT(told("mmio_write", lock(8, 8), lock(10, 8)), ElementsAre("changed mmio 0xd0000010"))
      << "another guest";
}

TEST_F(ProbeGuestTest, AWriteThatOnlyOneKernelHasIsNotExplainedByWhatItWouldHold) {
  EXPECT_THAT(told("os_lock", {{kDevice, 0}}, {{kDevice, 0}, {kDevice + 0x10, 10}}),
              ElementsAre("extra mmio 0xd0000010"));
  EXPECT_THAT(told("psci_features", {{kDevice, 0}, {kDevice + 8, 0xff}}, {{kDevice, 0}}),
              ElementsAre("missing mmio 0xd0000008"));
}

TEST_F(ProbeGuestTest, AWriteIsExplainedOnTheKernelThatLetsTheGuestComeSoFar) {
  const std::vector<Write> without{{kDevice + 0x1000, 4}};
  const std::vector<Write> with{{kDevice, 1}, {kDevice + 0x1000, 4}};
  EXPECT_THAT(told("os_lock_breakpoint", without, with),
              ElementsAre("extra mmio 0xd0000000 arm64-os-lock"));
  EXPECT_THAT(told("os_lock_breakpoint", with, without), ElementsAre("missing mmio 0xd0000000"));
  EXPECT_THAT(told("psci_reset2", with, without),
              ElementsAre("missing mmio 0xd0000000 arm64-reset2"));
  EXPECT_THAT(told("psci_reset2", without, with), ElementsAre("extra mmio 0xd0000000"));
}

}  // namespace
}  // namespace kvmtape::testing
