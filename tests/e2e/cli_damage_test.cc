// What the read verbs say of a recording of which something is missing: each says it, whatever it
// looks at, and ends with 3.
#include <gmock/gmock.h>

#include <algorithm>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kCorrupt = KVMTAPE_SOURCE_DIR "/traces/corrupt/";

class CliDamageTest : public ::testing::Test {
 protected:
  // Sealed: nine exits can be read, the first six of vCPU 0 cannot.
  std::string damaged_trace() {
    TraceBuilder trace;
    trace.add_exits(0, 6).cut().add_exits(0, 4).add_exits(1, 3).cut().add_exits(1, 2).seal();
    trace.flip_byte(trace.offset_of(ChunkType::kExits) + 150);
    return trace.write_to(tool.file("damaged.kvmtape"));
  }
  // "0:7"
  std::vector<std::string> exits(const std::string& arguments) {
    std::vector<std::string> places;
    for (const auto& line : tool.run("dump --json " + arguments).json_lines())
      if (line.contains("seq")) places.push_back(line["vcpu"].dump() + ":" + line["seq"].dump());
    return places;
  }
  Tool tool;
};

// It is whole (and unsealed, which is another matter).
TEST_F(CliDamageTest, ARecordingOfANewerVersionIsNotCalledDamaged) {
  const ToolRun run = tool.run("dump " + kCorrupt + "unknown_required_column.kvmtape");
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, AllOf(HasSubstr("1 chunk of a newer version: "),
                             HasSubstr("use a newer one"), Not(HasSubstr("damaged"))));
}

TEST_F(CliDamageTest, StatWithoutKeysCountsADamagedChunkAsStatDoes) {
  const std::string trace = damaged_trace();
  const ToolRun keyed = tool.run("stat --json " + trace);
  const ToolRun plain = tool.run("stat --json --no-keys " + trace);
  EXPECT_EQ(plain.status, 3);
  EXPECT_EQ(plain.err, keyed.err);
  EXPECT_EQ(plain.json()["totals"], keyed.json()["totals"]);
  EXPECT_EQ(plain.json()["totals"]["lost"], 6);
  EXPECT_EQ(plain.json()["totals"]["exits"], plain.json()["totals"]["selected"]);
  EXPECT_THAT(tool.run("stat --no-keys " + trace).out, HasSubstr("9 exits, 6 lost"));
}

TEST_F(CliDamageTest, StatWithoutKeysCountsNoChunkWhoseColumnsContradictOneAnother) {
  for (const std::string name : {"columns_contradict", "zstd_bomb"}) {
    const std::string trace = kCorrupt + name + ".kvmtape";
    const ToolRun keyed = tool.run("stat --json " + trace);
    const ToolRun plain = tool.run("stat --json --no-keys " + trace);
    EXPECT_EQ(plain.json()["totals"], keyed.json()["totals"]) << name;
    EXPECT_EQ(plain.json()["totals"]["exits"], 11) << name;
    EXPECT_EQ(plain.err, keyed.err) << name;
  }
}

TEST_F(CliDamageTest, ExplainSaysInItsReportWhatMayBeMissing) {
  for (const auto& [name, why] :
       {std::pair("torn_tail", "Exits may be missing: its end is torn at byte 3104"),
        std::pair("false_sequence", "a chunk is damaged"),
        std::pair("no_footer", "Exits may be missing: it was not closed, and no rings are left")}) {
    const ToolRun run = tool.run("explain --color=always " + kCorrupt + name + ".kvmtape");
    EXPECT_EQ(run.status, 3) << name;
    EXPECT_THAT(run.out, AllOf(HasSubstr(why), HasSubstr("0 lost, more may be missing"),
                               HasSubstr("kvmtape recover"), Not(HasSubstr("--ring,")),
                               Not(HasSubstr("\x1b[32m"))))
        << name;
    const auto document = tool.run("explain --json " + kCorrupt + name + ".kvmtape").json();
    EXPECT_EQ(document["complete"], false) << name;
    EXPECT_EQ(document["notes"][0]["rule"], "lost-exits") << name;
    EXPECT_THAT(document["notes"][0]["title"].get<std::string>(), HasSubstr(why)) << name;
  }
}

TEST_F(CliDamageTest, ExplainCannotKnowWhatHappenedWhereNoExitCanBeRead) {
  const ToolRun run = tool.run("explain " + kCorrupt + "only_a_header.kvmtape");
  EXPECT_THAT(run.out, HasSubstr("cannot know: it holds no exit that can be read\n"
                                 "0 vCPUs of a monitor on an unknown kernel: 0 exits"));
  const auto notes =
      tool.run("explain --json " + kCorrupt + "only_a_header.kvmtape").json()["notes"];
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0]["title"], "No exit can be read: what happened cannot be known");

  TraceBuilder trace;
  trace.add_exits(0, 2).seal();
  const std::string path = trace.write_to(tool.file("whole.kvmtape"));
  EXPECT_THAT(tool.run("explain --seq 7-9 " + path).out,
              HasSubstr("cannot know: no exit is selected"));
}

// Whoever follows the advice to run recover must not be told less than before.
TEST_F(CliDamageTest, WhatWasSavedOfATornRecordingIsNotCalledComplete) {
  TraceBuilder trace;
  trace.add_exits(0, 6).cut().add_exits(0, 4).seal();
  const std::string whole = trace.write_to(tool.file("whole.kvmtape"));
  trace.truncate_at(trace.offset_of(ChunkType::kExits, 1) + 150);
  const std::string torn = trace.write_to(tool.file("torn.kvmtape"));
  const std::string saved = tool.file("saved.kvmtape");
  for (const auto& [verb, from, to] :
       {std::tuple("recover ", torn, saved),
        {"recover ", saved, tool.file("again.kvmtape")},
        {"redact --profile regs ", saved, tool.file("red.kvmtape")}}) {
    EXPECT_EQ(tool.run(verb + from + " -o " + to).status, 3) << verb;
    for (const std::string reading : {"verify ", "info ", "stat ", "dump ", "explain "}) {
      const ToolRun run = tool.run(reading + to);
      EXPECT_EQ(run.status, 3) << reading;
      EXPECT_THAT(run.err, HasSubstr("a copy of a recording whose end was torn")) << reading;
    }
    const ToolRun explain = tool.run("explain " + to);
    EXPECT_THAT(explain.out,
                AllOf(HasSubstr("0 lost, more may be missing"), Not(HasSubstr("kvmtape recover"))));
    const auto storage = tool.run("verify --json " + to).json()["storage"];
    EXPECT_EQ(storage["complete"], false);
    EXPECT_EQ(storage["copied_end"], "torn");
  }
  const ToolRun diff = tool.run("diff " + whole + " " + saved);
  EXPECT_EQ(diff.status, 3) << diff.out;
  EXPECT_THAT(diff.out, HasSubstr("4 x lost in B (torn end)"));
}

TEST_F(CliDamageTest, TheDocumentsOfExplainAndStatSayWhetherTheRecordingIsComplete) {
  TraceBuilder trace;
  trace.add_exits(0, 4).seal();
  const std::string whole = trace.write_to(tool.file("whole.kvmtape")), damaged = damaged_trace();
  for (const std::string verb : {"explain --json ", "stat --json ", "stat --json --no-keys ",
                                 "stat --json --vcpu 1 ", "explain --json --vcpu 1 "}) {
    const bool is_narrowed = verb.find("vcpu") != std::string::npos;
    if (!is_narrowed) {
      EXPECT_EQ(tool.run(verb + whole).json()["complete"], true) << verb;
    }
    EXPECT_EQ(tool.run(verb + damaged).json()["complete"], false) << verb;
  }
  for (const auto& line : tool.run("stat --json --interval 1s " + damaged).json_lines())
    EXPECT_EQ(line["complete"], false);
}

TEST_F(CliDamageTest, ANarrowedViewSaysWhatIsMissingElsewhere) {
  const std::string trace = damaged_trace();
  for (const std::string verb : {"dump ", "stat ", "stat --no-keys "})
    for (const std::string narrowed :
         {"--vcpu 1 ", "--seq 7-9 ", "--time 1s, ", "--tail 1 ", "--vcpu 1 --tail 1 "}) {
      const ToolRun run = tool.run(verb + narrowed + trace);
      EXPECT_EQ(run.status, 3) << verb << narrowed;
      EXPECT_THAT(run.err, AllOf(HasSubstr("1 chunk damaged"), HasSubstr("6 exits lost")))
          << verb << narrowed;
    }
  EXPECT_EQ(tool.run("stat --json --vcpu 1 " + trace).json()["totals"]["lost"], 6);
}

TEST_F(CliDamageTest, ExplainAndDiffWorkOnWhatCanBeReadAndSayWhatIsMissing) {
  const std::string trace = damaged_trace();
  for (const std::string& command : {"explain " + trace, "diff " + trace + " " + trace}) {
    const ToolRun run = tool.run(command);
    EXPECT_EQ(run.status, 3) << command;
    EXPECT_THAT(run.err, AllOf(HasSubstr("1 chunk damaged"), HasSubstr("6 exits lost"))) << command;
  }
  EXPECT_THAT(tool.run("explain " + trace).out, HasSubstr("6 exits are missing"));
  EXPECT_THAT(tool.run("diff " + trace + " " + trace).out, HasSubstr("9 the same, 0 changed"));
}

TEST_F(CliDamageTest, TheTailIsTheLastExitsThatCanBeRead) {
  const std::string trace = damaged_trace();
  const std::vector<std::string> all = exits(trace);
  ASSERT_EQ(all.size(), 9u);
  for (const size_t tail : {1u, 4u, 9u}) {
    const std::string option = "--tail " + std::to_string(tail) + " ";
    EXPECT_EQ(exits(option + trace), std::vector<std::string>(all.end() - int(tail), all.end()));
    EXPECT_EQ(tool.run("stat --json " + option + trace).json()["totals"]["selected"], tail);
  }
  EXPECT_EQ(exits("--tail 15 " + trace), all);
}

TEST_F(CliDamageTest, InfoSaysWhatADamagedRecordingLost) {
  const std::string trace = damaged_trace();
  const ToolRun info = tool.run("info --json " + trace);
  EXPECT_EQ(info.status, 3);
  EXPECT_THAT(info.err, HasSubstr("1 chunk damaged"));
  const auto document = info.json();
  EXPECT_EQ(document["totals"]["exits"], 9);
  EXPECT_EQ(document["totals"]["lost"], 6);
  EXPECT_EQ(document["gaps"][0]["why"], "damaged");
  EXPECT_EQ(document["storage"]["complete"], false);
  EXPECT_THAT(tool.run("info " + trace).out,
              AllOf(HasSubstr("9, 6 lost, 2 vCPUs"), HasSubstr("0:0 6 lost: damaged")));
}

TEST_F(CliDamageTest, TextSaysWhatIsWrongWithTheEnd) {
  EXPECT_THAT(tool.run("verify " + kCorrupt + "torn_tail.kvmtape").out,
              HasSubstr(" lost, torn at byte 3104\n"));
  const ToolRun torn = tool.run("info " + kCorrupt + "torn_tail.kvmtape");
  EXPECT_THAT(torn.out, HasSubstr("problem      torn (at byte 3104)\n"));
  TraceBuilder trace;
  trace.add_exits(0, 5).seal();
  trace.flip_byte(trace.bytes().size() - 1);
  const std::string path = trace.write_to(tool.file("end.kvmtape"));
  EXPECT_THAT(tool.run("info " + path).out,
              HasSubstr("problem      the index at its end is damaged\n"));
  EXPECT_EQ(tool.run("info --json " + path).json()["storage"]["problems"].size(), 1u);
}

TEST_F(CliDamageTest, WhatAnotherChunkMakesUpForIsAWarningOfEveryVerb) {
  for (const ChunkType type : {ChunkType::kSession, ChunkType::kCut}) {
    TraceBuilder trace;
    trace.add_exits(0, 6).cut().add_exits(0, 4).seal();
    trace.flip_byte(trace.offset_of(type) + 120);
    const std::string path = trace.write_to(tool.file("redundant.kvmtape"));
    for (const std::string verb : {"verify ", "info ", "dump ", "stat ", "stat --no-keys "}) {
      const ToolRun run = tool.run(verb + path);
      EXPECT_EQ(run.status, 0) << verb;
      EXPECT_THAT(run.err, HasSubstr("1 chunk damaged that others make up for")) << verb;
    }
    EXPECT_THAT(tool.run("verify " + path).out,
                HasSubstr(" 0 damaged (1 more that others make up for), "));
    const ToolRun recover = tool.run("recover --force " + path + " -o " + tool.file("saved"));
    EXPECT_EQ(recover.status, 0);
    EXPECT_THAT(recover.out, HasSubstr("10 exits from the file saved, 0 exits lost in 0 damaged "
                                       "chunks (1 more that others make up for); "));
    EXPECT_THAT(recover.err, HasSubstr(path + ": the chunk's checksum"));
  }
}

TEST_F(CliDamageTest, RecoverSaysWhyItEndsWith3ThoughAllWasSaved) {
  const ToolRun run =
      tool.run("recover " + kCorrupt + "no_footer.kvmtape -o " + tool.file("saved.kvmtape"));
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("no_footer.kvmtape: was never sealed"));
}

TEST_F(CliDamageTest, RecoverCountsNoMoreBytesLostThanThereAre) {
  const auto whole = file_bytes(KVMTAPE_SOURCE_DIR "/traces/probe-x86_64-6.18.kvmtape");
  const std::string cut = tool.file("headless.kvmtape");
  for (size_t from = 16'000; from < 24'000; from += 1'000) {
    write_file(cut, std::span(whole).subspan(from));
    const auto saved =
        tool.run("recover --force --json -o " + tool.file("saved.kvmtape") + " " + cut).json();
    EXPECT_LE(saved["bytes_lost"], whole.size() - from) << from;
    EXPECT_EQ(saved["exits_from_file"], 169) << from;
  }
}

TEST_F(CliDamageTest, ARingThatCannotBeReadIsNamedAndTheHintKeepsItsDirectory) {
  const std::string rings = kCorrupt + "ring_cut_off.rings";
  for (const char* verb : {"dump ", "stat ", "info "}) {
    const ToolRun run =
        tool.run(verb + ("--ring-dir " + rings) + " " + kCorrupt + "ring_cut_off.kvmtape");
    EXPECT_EQ(run.status, 3) << verb;
    EXPECT_THAT(run.err, HasSubstr("vcpu-0.ring: the ring says 69632 bytes, the file has 4096"));
    EXPECT_THAT(run.err, HasSubstr("ring_cut_off.kvmtape --ring-dir " + rings + " -o "));
  }
}

TEST_F(CliDamageTest, ARingDirectoryThatIsNotThereIsAnError) {
  const ToolRun run =
      tool.run("dump --ring-dir " + tool.file("none") + " " + kCorrupt + "no_footer.kvmtape");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("/none"), HasSubstr("there is no such directory")));
  EXPECT_THAT(run.out, IsEmpty());
}

TEST_F(CliDamageTest, WhatStandsBehindTheEndIsTold) {
  TraceBuilder first, second;
  first.add_exits(0, 5).seal();
  second.add_exits(0, 9).seal();
  const auto& one = first.bytes();
  const auto expect = [&](const std::vector<uint8_t>& behind, const std::string& said, int status) {
    std::vector<uint8_t> bytes = one;
    bytes.insert(bytes.end(), behind.begin(), behind.end());
    const std::string path = tool.file("put together.kvmtape");
    write_file(path, bytes);
    for (const std::string verb : {"info", "dump", "verify", "recover --force -o saved"}) {
      const ToolRun run = tool.run(verb + " '" + path + "'");
      EXPECT_EQ(run.status, status) << verb << run.err;
      EXPECT_THAT(run.err,
                  AllOf(HasSubstr(std::to_string(behind.size()) + " bytes behind its end "),
                        HasSubstr(said), Not(HasSubstr("index"))))
          << verb;
    }
    EXPECT_EQ(tool.run("info --json '" + path + "'").json()["totals"]["exits"], 5);
  };
  expect(std::vector<uint8_t>(700, 'x'), "belong to nothing that can be read", 0);
  expect(one, "are the same recording once more", 0);
  expect(second.bytes(), "are another recording, and are passed over: a file is read as one", 3);
  const ToolRun info = tool.run("info 'put together.kvmtape'");
  const size_t at = info.err.find("tail -c");
  ASSERT_NE(at, std::string::npos) << info.err;
  ASSERT_EQ(shell("cd " + tool.file("") + " && " + info.err.substr(at)).status, 0);
  EXPECT_EQ(tool.run("info --json other.kvmtape").json()["totals"]["exits"], 9);
}

TEST_F(CliDamageTest, WhatWasRecoveredSaysSoAndFromWhat) {
  const std::string saved = tool.file("saved.kvmtape");
  ASSERT_EQ(tool.run("recover " + damaged_trace() + " -o " + saved).status, 3);
  const ToolRun info = tool.run("info " + saved);
  EXPECT_EQ(info.status, 3) << "its gaps";
  EXPECT_THAT(info.out, HasSubstr(" recover from damaged.kvmtape: exits 9 from the file, 0 from "
                                  "rings, 6 lost to damage; "));
  const auto history = tool.run("info --json " + saved).json()["session"]["history"];
  ASSERT_EQ(history.size(), 1u);
  EXPECT_THAT(history[0], HasSubstr("6 lost to damage"));
}

}  // namespace
}  // namespace kvmtape::testing
