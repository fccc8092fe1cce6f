// The guests of `probe` on arm64 kernels before and after KVM changed: `kvmtape diff` names what is
// different, and the row of kernel_changes that explains it.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <string>

#include "tests/support/run_tool.h"

namespace kvmtape::testing {
namespace {

using ::testing::Contains;

const std::string kBefore = KVMTAPE_SOURCE_DIR "/traces/probe-aarch64-5.10.kvmtape";
const std::string kAfter = KVMTAPE_SOURCE_DIR "/traces/probe-aarch64-6.1.kvmtape";

bool is_explained(const nlohmann::json& difference, const std::string& row) {
  return ::testing::Matches(Contains(row))(
      difference.value("explained_by", nlohmann::json::array()));
}

class LabDiffTest : public ::testing::Test {
 protected:
  using Json = nlohmann::json;
  void SetUp() override {
    const ToolRun run = tool.run("diff --json " + kBefore + " " + kAfter);
    ASSERT_EQ(run.status, 1) << run.err;
    changes = run.json()["changes"];
  }
  // How many differences of a kind there are in such exits that the row explains.
  int64_t count(
      const std::string& kind, const std::string& name, const std::string& row,
      const std::function<bool(const Json&)>& is_meant = [](const Json&) { return true; }) const {
    return std::ranges::count_if(changes, [&](const Json& change) {
      return change["kind"] == kind && change["name"] == name && is_meant(change) &&
             is_explained(change, row);
    });
  }

  Tool tool;
  Json changes;
};

TEST_F(LabDiffTest, HsrHighIsValidOnTheNewerKernelOnly) {
  const auto is_meant = [](const Json& change) {
    const Json field = change["fields"].value("debug.arch.hsr_high", Json());
    return !field.is_null() && field["a"]["validity"] != "valid" &&
           field["b"]["validity"] == "valid" && is_explained(field, "arm64-hsr-high");
  };
  EXPECT_GE(count("changed", "KVM_EXIT_DEBUG", "arm64-hsr-high", is_meant), 10);
}

TEST_F(LabDiffTest, TheGuestReadsAnotherOsLock) {
  const auto is_meant = [](const Json& change) {
    const Json data = change["fields"].value("mmio.data", Json());
    return !data.is_null() && data["a"]["value"] == "0800000000000000" &&
           data["b"]["value"] == "0a00000000000000";
  };
  EXPECT_EQ(count("changed", "KVM_EXIT_MMIO", "arm64-os-lock", is_meant), 1);
}

TEST_F(LabDiffTest, SystemReset2ExitsOnTheNewerKernelOnly) {
  EXPECT_EQ(count("extra", "KVM_EXIT_SYSTEM_EVENT", "arm64-reset2"), 2);
  EXPECT_EQ(count("extra", "KVM_EXIT_SYSTEM_EVENT", "arm64-system-suspend"), 1);
}

TEST_F(LabDiffTest, StepsOverMmioAndHvcExitOnTheNewerKernelOnly) {
  EXPECT_EQ(count("extra", "KVM_EXIT_DEBUG", "arm64-step-over-emulated"), 3);
}

TEST_F(LabDiffTest, OfTwoLongListsTheSessionShowsTheWordsThatOnlyOneHas) {
  const std::string text = tool.run("diff " + kBefore + " " + kAfter).out;
  const size_t at = text.find("cpu Features");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(text.substr(at, text.find('\n', at) - at),
            "cpu Features                     only in A: ssbs");
}

TEST_F(LabDiffTest, ADifferenceSaysWhichGuestOfProbeItIsIn) {
  EXPECT_EQ(count("changed", "KVM_EXIT_MMIO", "arm64-os-lock",
                  [](const Json& change) { return change["guest"] == "os_lock"; }),
            1);
  const std::string text = tool.run("diff " + kBefore + " " + kAfter).out;
  EXPECT_THAT(text, ::testing::HasSubstr("first divergence: vCPU 0 (mmio_write), changed"));
  EXPECT_THAT(text, ::testing::ContainsRegex("20:2 +20:2 +os_lock: KVM_EXIT_MMIO"));
}

TEST_F(LabDiffTest, NothingElseIsDifferent) {
  const ToolRun run = tool.run("diff --only unexplained " + kBefore + " " + kAfter);
  EXPECT_EQ(run.status, 0) << run.out;
}

TEST_F(LabDiffTest, NorBetweenTheKernelsThatFollow) {
  const char* const kernels[] = {"6.1", "6.12", "6.18", "7.2"};
  for (size_t i = 0; i + 1 < std::size(kernels); ++i) {
    const auto golden = [&](size_t kernel) {
      return std::string(KVMTAPE_SOURCE_DIR "/traces/probe-aarch64-") + kernels[kernel] +
             ".kvmtape ";
    };
    const ToolRun run = tool.run("diff --only unexplained " + golden(i) + golden(i + 1));
    EXPECT_EQ(run.status, 0) << run.out;
  }
}

}  // namespace
}  // namespace kvmtape::testing
