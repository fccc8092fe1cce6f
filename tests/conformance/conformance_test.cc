// What the reader says of every recording in traces/, byte for byte, whatever machine it was built
// for. regenerate.sh beside this file writes the expectations.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/support/run_tool.h"

namespace kvmtape::testing {
namespace {

const std::string kTraces = KVMTAPE_SOURCE_DIR "/traces/";

std::set<std::string> names_with(const std::string& suffix) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kTraces)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(suffix)) names.insert(name.substr(0, name.size() - suffix.size()));
  }
  return names;
}

std::vector<std::string> recordings() {
  const std::set<std::string> names = names_with(".kvmtape");
  return {names.begin(), names.end()};
}

// The first line that differs, for people; a diff of thousands helps nobody.
std::string first_difference(const std::string& expected, const std::string& said) {
  const auto [a, b] = std::ranges::mismatch(expected, said);
  const auto at = static_cast<size_t>(a - expected.begin());
  const size_t line = 1 + static_cast<size_t>(std::count(expected.begin(), a, '\n'));
  const size_t from = at < 80 ? 0 : at - 80;
  return "line " + std::to_string(line) + ", expected\n  ..." + expected.substr(from, 200) +
         "\nsaid\n  ..." + said.substr(std::min(from, said.size()), 200);
}

TEST(Conformance, EveryRecordingHasAnExpectationAndEveryExpectationARecording) {
  EXPECT_EQ(names_with(".kvmtape"), names_with(".expect.jsonl"));
  EXPECT_GE(recordings().size(), 9u);
}

class Recording : public ::testing::TestWithParam<std::string> {};

TEST_P(Recording, ReadsAsExpectedByteForByte) {
  const Tool tool;
  const ToolRun run = tool.run("dump --json " + kTraces + GetParam() + ".kvmtape");
  EXPECT_EQ(run.status, 0) << run.err;
  const std::vector<uint8_t> bytes = file_bytes(kTraces + GetParam() + ".expect.jsonl");
  const std::string expected(bytes.begin(), bytes.end());
  EXPECT_TRUE(run.out == expected) << first_difference(expected, run.out)
                                   << "\nif that is meant: tests/conformance/regenerate.sh";
}

INSTANTIATE_TEST_SUITE_P(Traces, Recording, ::testing::ValuesIn(recordings()),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace_if(
                               name, [](char c) { return c == '-' || c == '.'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace kvmtape::testing
