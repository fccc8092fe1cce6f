// `kvmtape stat` as a user runs it: by what, in which order, for which time, while it is recorded.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "schema/base/unique_fd.h"
#include "tests/support/run_tool.h"
#include "tests/support/synthetic_trace.h"
#include "tests/support/test_ring.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kProbe = KVMTAPE_SOURCE_DIR "/traces/probe-x86_64-6.18.kvmtape";

class CliStatTest : public ::testing::Test {
 protected:
  nlohmann::json stat(const std::string& options) {
    return tool.run("stat -q --json " + options + " " + kProbe).json();
  }
  static uint64_t exits_in_rows(const nlohmann::json& document) {
    uint64_t exits = 0;
    for (const auto& row : document["rows"])
      if (!row.contains("key")) exits += row["count"].get<uint64_t>();
    return exits;
  }
  Tool tool;
};

// Exception classes are of arm64.
TEST_F(CliStatTest, ByAKeyThatNoExitHasSaysSo) {
  const ToolRun run = tool.run("stat --by ec " + kProbe);
  EXPECT_THAT(run.err, HasSubstr("none of these exits has such a key (ec)"));
  EXPECT_THAT(tool.run("stat --by port " + kProbe).err, Not(HasSubstr("such a key")));
}

TEST_F(CliStatTest, TablesFitAMailAndHaveALineForEachRow) {
  for (const std::string options : {"", "-v ", "--by vcpu "}) {
    std::istringstream lines(tool.run("stat -q " + options + kProbe).out);
    size_t rows = 0;
    for (std::string line; std::getline(lines, line); rows += line.starts_with("KVM_EXIT_IO ")) {
      EXPECT_LE(line.size(), 130u) << line;
      EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    }
    EXPECT_GE(rows, 1u) << options;
  }
  EXPECT_THAT(tool.run("stat -q " + kProbe).out, HasSubstr(" lost, in "));
}

TEST_F(CliStatTest, RareAddressesOfAPlaceAreOneRowInTheTableAndApartInJson) {
  SyntheticTrace screen;
  for (uint64_t address = 0xa0000; address < 0xa0000 + 150; ++address)
    screen.mmio_write(address, {0xff});
  const std::string trace = screen.write_to(tool.file("screen.kvmtape"));
  EXPECT_THAT(tool.run("stat " + trace).out,
              AllOf(HasSubstr("  mmio VGA memory, 150 addresses "), Not(HasSubstr("more key"))));
  EXPECT_THAT(tool.run("stat --top 150 " + trace).out, HasSubstr("  mmio 0xa0095 VGA memory+0x95"));
  EXPECT_EQ(tool.run("stat --json " + trace).json()["rows"].size(), 1u + 150);
}

TEST_F(CliStatTest, ASelectionOfNothingSaysSo) {
  const ToolRun run = tool.run("stat --exit loongarch_iocsr " + kProbe);
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("nothing selected"));
  EXPECT_THAT(tool.run("stat " + kProbe).err, Not(HasSubstr("nothing selected")));
}

TEST_F(CliStatTest, ByVcpuTheRowsSayWhose) {
  const auto document = stat("--by vcpu,exit");
  EXPECT_EQ(exits_in_rows(document), document["totals"]["exits"]);
  for (const auto& row : document["rows"]) {
    EXPECT_TRUE(row["vcpu"].is_number());
    EXPECT_FALSE(row.contains("key"));
  }
  EXPECT_THAT(tool.run("stat -q --by vcpu " + kProbe).out, HasSubstr("\nvCPU 1: "));
}

TEST_F(CliStatTest, ByAKindOfKeyOnlyExitsThatHaveIt) {
  for (const char* kind : {"port", "msr"}) {
    const auto document = stat(std::string("--by ") + kind);
    EXPECT_EQ(document["totals"]["selected"], document["totals"]["exits"]);
    uint64_t with_key = 0;
    for (const auto& row : document["rows"]) {
      const std::string key = row.value("key", std::string(kind));
      EXPECT_EQ(key.rfind(kind, 0), 0u) << key;
      if (row.contains("key")) with_key += row["count"].get<uint64_t>();
    }
    EXPECT_GT(with_key, 0u) << kind;
    EXPECT_EQ(with_key, exits_in_rows(document)) << kind;
  }
}

TEST_F(CliStatTest, RowsAreSortedAsAsked) {
  const auto sorted_by = [&](const std::string& sort, auto value) {
    std::vector<uint64_t> values;
    const auto counted = stat("--by exit --sort " + sort);
    for (const auto& row : counted["rows"])
      values.push_back(value(row).is_null() ? 0 : value(row).template get<uint64_t>());
    return std::ranges::is_sorted(values, std::greater<>());
  };
  EXPECT_TRUE(sorted_by("count", [](const auto& row) { return row["count"]; }));
  EXPECT_TRUE(sorted_by("guest", [](const auto& row) { return row["guest_ns"]["total"]; }));
  EXPECT_TRUE(sorted_by("monitor", [](const auto& row) { return row["monitor_ns"]["total"]; }));
  EXPECT_TRUE(sorted_by("p99", [](const auto& row) { return row["monitor_ns"]["p99"]; }));
  EXPECT_TRUE(sorted_by("max", [](const auto& row) { return row["monitor_ns"]["max"]; }));
  std::vector<std::string> names;
  const auto by_name = stat("--by exit --sort name");
  for (const auto& row : by_name["rows"]) names.push_back(row["exit"]);
  EXPECT_TRUE(std::ranges::is_sorted(names));
}

TEST_F(CliStatTest, IntervalsAreObjectsThatAddUp) {
  uint64_t exits = 0;
  const auto lines = tool.run("stat -q --json --interval 100ms " + kProbe).json_lines();
  for (const auto& line : lines) {
    const auto span =
        line["interval"]["to_ns"].get<int64_t>() - line["interval"]["from_ns"].get<int64_t>();
    EXPECT_TRUE(line == lines.back() ? span < 100'000'000 : span == 100'000'000) << span;
    EXPECT_EQ(exits_in_rows(line), line["totals"]["selected"]);
    exits += line["totals"]["selected"].get<uint64_t>();
  }
  EXPECT_GT(lines.size(), 1u);
  EXPECT_EQ(exits, lines.front()["totals"]["exits"]);
  EXPECT_EQ(tool.run("stat --interval 0 " + kProbe).status, 2);
}

TEST_F(CliStatTest, LiveEndsWithTheRecordingAndLeavesItAlone) {
  TraceBuilder trace(tool.file(""));
  const std::string path = trace.write_to(tool.file("running.kvmtape"));
  // A recorder holds this lock as long as it runs.
  TestRing session(tool.file(""), trace.session(), kSessionStream);
  const UniqueFd lock(::open(tool.file("session.ring").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  TestRing ring(tool.file(""), trace.session(), 0);
  ring.add_exits(3);
  const auto before = file_bytes(tool.file(ring_file_name(0)));
  const ToolRun run = tool.run(
      "stat --live --interval 50ms " + path +
      " & while kill -0 $! && ! grep -q lost stdout; do sleep 0.05; done; kill -TERM $!; wait $!");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("3 exits, 0 lost since it began"),
                             HasSubstr("0 exits, 0 lost, in ")));
  EXPECT_EQ(file_bytes(tool.file(ring_file_name(0))), before);
}

TEST_F(CliStatTest, LiveRefusesWhatDoesNotRun) {
  const ToolRun ended = tool.run("stat --live " + kProbe);
  EXPECT_EQ(ended.status, 2);
  EXPECT_THAT(ended.err, HasSubstr("no longer being recorded"));
  const ToolRun process = tool.run("stat --live 1");
  EXPECT_EQ(process.status, 2);
  EXPECT_THAT(process.err, HasSubstr("no recording open"));
  EXPECT_EQ(tool.run("stat --live --tail 3 " + kProbe).status, 2);
}

}  // namespace
}  // namespace kvmtape::testing
