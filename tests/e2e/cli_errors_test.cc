// Bad input and bad usage: a clear sentence, the right exit status, never a crash.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>

#include "schema/base/crc32c.h"
#include "schema/base/shell_word.h"
#include "schema/trace_format.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CliErrorsTest : public ::testing::Test {
 protected:
  void every_verb_fails_on(const std::string& path) {
    for (const char* verb : {"info", "dump", "stat", "verify"}) {
      const ToolRun run = tool.run(std::string(verb) + " " + path);
      EXPECT_EQ(run.status, 2) << verb << ": " << run.err;
      EXPECT_THAT(run.err, HasSubstr(path)) << verb;
    }
  }
  TraceBuilder trace() {
    TraceBuilder builder;
    builder.add_exits(0, 50).cut().add_exits(0, 50).seal();
    return builder;
  }
  Tool tool;
};

TEST_F(CliErrorsTest, WhatIsNoTraceIsRefused) {
  const std::vector<uint8_t> text = {'h', 'e', 'l', 'l', 'o', '\n'};
  write_file(tool.file("text"), text);
  every_verb_fails_on(tool.file("text"));
  write_file(tool.file("empty"), {});
  every_verb_fails_on(tool.file("empty"));
  std::filesystem::create_directory(tool.file("folder"));
  every_verb_fails_on(tool.file("folder"));
}

TEST_F(CliErrorsTest, ANewerMajorVersionIsRefused) {
  const std::string path = tool.file("newer.kvmtape");
  TraceBuilder newer = trace();
  FileHeader header;
  std::memcpy(&header, newer.bytes().data(), sizeof header);
  header.major = kFormatMajor + 1;
  header.crc32c = 0;
  header.crc32c = crc32c({reinterpret_cast<const uint8_t*>(&header), sizeof header});
  std::memcpy(newer.bytes().data(), &header, sizeof header);
  newer.write_to(path);
  every_verb_fails_on(path);
}

TEST_F(CliErrorsTest, ATornTraceIsReadAndSaidToBeTorn) {
  const std::string path = tool.file("torn.kvmtape");
  TraceBuilder torn = trace();
  torn.truncate_at(torn.offset_of(ChunkType::kExits, 1) + 100).write_to(path);
  const ToolRun dump = tool.run("dump " + path);
  EXPECT_EQ(dump.status, 3);
  EXPECT_THAT(dump.err, HasSubstr("torn at byte"));
  EXPECT_THAT(dump.err, HasSubstr("50 exits readable"));
  EXPECT_EQ(tool.run("verify " + path).status, 3);
}

TEST_F(CliErrorsTest, ALinkThatLeadsNowhereSaysWhereItPoints) {
  std::filesystem::create_symlink("gone/vm.kvmtape", tool.file("link"));
  const ToolRun run = tool.run("info link");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("link: is a link to gone/vm.kvmtape, which is not there"));
}

TEST_F(CliErrorsTest, NoFileNameSteersATerminal) {
  const std::string name = "a\x1b[31m\xff\n.kvmtape", path = shell_path(tool.file(name));
  TraceBuilder torn = trace();
  torn.truncate_at(torn.offset_of(ChunkType::kExits, 1) + 100).write_to(tool.file(name));
  const std::string gone = path + "/gone", saved = " -o " + path + ".saved";
  for (const std::string& line : {"info " + path,
                                  "dump " + path,
                                  "dump --seq 100 " + path,
                                  "stat " + path,
                                  "stat --by port " + path,
                                  "stat --live " + path,
                                  "verify " + path,
                                  "explain " + path,
                                  "diff " + path + " " + path,
                                  "decode --arch x86_64 --kernel 6.1 " + path,
                                  "recover " + path + saved,
                                  "recover " + path + saved,
                                  "redact --profile regs " + path + saved,
                                  "import --format raw-stream " + path,
                                  "ctl " + path + " status",
                                  "info " + gone,
                                  "info --ring-dir " + gone + " " + path,
                                  "record -o " + path + " -- true",
                                  "record -- " + gone,
                                  "record --check -- " + gone,
                                  path,
                                  "info --" + path}) {
    const ToolRun run = tool.run(line);
    EXPECT_NE(run.status, 0) << line;
    for (const std::string& said : {run.out, run.err}) {
      EXPECT_EQ(said.find('\x1b'), std::string::npos) << line;
      EXPECT_EQ(said.find('\xff'), std::string::npos) << line;
    }
  }
}

TEST_F(CliErrorsTest, VerifyAnswersNoToFlippedBits) {
  const std::string path = tool.file("flipped.kvmtape");
  TraceBuilder flipped = trace();
  flipped.flip_byte(flipped.offset_of(ChunkType::kExits, 0) + 120).write_to(path);
  const ToolRun verify = tool.run("verify --json " + path);
  EXPECT_EQ(verify.status, 1);
  EXPECT_GE(verify.json()["damaged"], 1);
  EXPECT_EQ(tool.run("dump -q " + path).status, 3);
}

TEST_F(CliErrorsTest, AMistypedVerbIsGuessed) {
  const ToolRun run = tool.run("dmup");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("did you mean: kvmtape dump?"));
}

TEST_F(CliErrorsTest, AMistypedTraceIsGuessed) {
  trace().write_to(tool.file("guest.kvmtape"));
  const ToolRun run = tool.run("info " + tool.file("gest.kvmtape"));
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("did you mean"));
}

TEST_F(CliErrorsTest, UsageErrorsSayWhereToLook) {
  const std::string path = trace().write_to(tool.file("t.kvmtape"));
  EXPECT_EQ(tool.run("dump --nonsense " + path).status, 2);
  EXPECT_EQ(tool.run("dump --vcpu 9 " + path).status, 2);
  EXPECT_EQ(tool.run("dump --seq x " + path).status, 2);
  EXPECT_EQ(tool.run("dump --time 1 " + path).status, 2);
  const ToolRun run = tool.run("dump --exit mnio " + path);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("did you mean MMIO?"));
}

TEST_F(CliErrorsTest, AnExistingRecordingIsReplacedOnlyByForce) {
  const std::string path = trace().write_to(tool.file("kept.kvmtape"));
  const std::vector<uint8_t> before = file_bytes(path);
  const std::string import = "import --format raw-stream -o " + path +
                             " " KVMTAPE_SOURCE_DIR "/traces/streams/ipxe_virtio.raw.zst";
  const ToolRun refused = tool.run(import);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_EQ(file_bytes(path), before);
  EXPECT_EQ(tool.run(import + " --force").status, 0);
}

TEST_F(CliErrorsTest, TheHelpOfAVerbIsOfThatVerb) {
  for (const std::string verb : {"record", "ctl", "info", "recover"})
    EXPECT_THAT(tool.run(verb + " --help").out, HasSubstr("Usage: kvmtape " + verb + " "));
  EXPECT_THAT(tool.run("info --help").out, HasSubstr("3 done, but exits may be"));
  for (const std::string verb : {"record", "ctl"}) {
    const std::string help = tool.run(verb + " --help").out;
    EXPECT_THAT(help, HasSubstr("Exit status: ")) << verb;
    EXPECT_THAT(help, Not(HasSubstr("the answer is no"))) << verb;
  }
}

TEST_F(CliErrorsTest, HelpAndVersionGoToStandardOutput) {
  const ToolRun help = tool.run("--help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, HasSubstr("probe"));
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_THAT(tool.run("").out, HasSubstr("Begin with"));
  EXPECT_EQ(tool.run("--version").status, 0);
  EXPECT_EQ(tool.run("help").out, help.out);
  EXPECT_EQ(tool.run("help stat").out, tool.run("stat --help").out);
  EXPECT_THAT(tool.run("stat --help").out, HasSubstr("--no-keys"));
}

TEST_F(CliErrorsTest, AWrongCommandLineIsToldWhatToWriteInstead) {
  const std::pair<const char*, const char*> cases[] = {
      {"dmup", "there is no verb 'dmup'; did you mean: kvmtape dump?"},
      {"export", "there is no verb 'export'; kvmtape --help lists them\n"},
      {"dump --tial 3 x", "there is no option '--tial'; did you mean --tail?\n"},
      {"dump -tail 3 x", "there is no option '-tail'; did you mean --tail?\n"},
      {"dump --zzz x", "there is no option '--zzz'; see kvmtape dump --help\n"},
      {"--zzz", "there is no option '--zzz'; see kvmtape --help\n"},
      {"--json dump", "'--json' stands before the verb: write kvmtape dump --json"},
      {"dump a b", "'b' is a word too many; see kvmtape dump --help\n"},
      {"dump --tail x", "--tail: 'x' is no number greater than 0; see"},
      {"dump --tail", "--tail needs a value: only the last N"},
      {"dump --tail 1 --tail 2", "--tail may be given only once; see"},
      {"dump --json=x", "--json takes no value, not 'x'; see"},
      {"dump --vcpu 0 x", "there is no such file"},
      {"dump --color=alway x", "--color: 'alway' is unknown; did you mean always?\n"},
      {"dump --color=x", "--color: 'x' is none of auto, always, never; see"},
      {"stat --top -1", "--top: '-1' is no number from 0 on; see"},
      {"recover x", "--output is missing: the recording to write; see kvmtape recover --help\n"},
      {"decode --ret x y", "--ret: 'x' is no number that fits: what KVM_RUN returned"},
  };
  for (const auto& [arguments, said] : cases) {
    const ToolRun run = tool.run(arguments);
    EXPECT_EQ(run.status, 2) << arguments;
    EXPECT_THAT(run.err, HasSubstr(said)) << arguments;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
}

TEST_F(CliErrorsTest, ARingOfASizeThatThereIsNotIsRefusedBeforeTheMonitorStarts) {
  const std::pair<const char*, const char*> cases[] = {
      {"--ring 5", "--ring: '5' is too small; at least 65,536 bytes; see"},
      {"--flight 64G", "--flight: '64G' is too large; at most 1,073,741,824 bytes; see"},
  };
  for (const auto& [option, said] : cases) {
    const ToolRun run = tool.run(std::string("record ") + option + " -- echo started");
    EXPECT_EQ(run.status, 125) << option;
    EXPECT_THAT(run.err, HasSubstr(said));
    EXPECT_EQ(run.out, "");
  }
}

TEST_F(CliErrorsTest, ARecordingIsNotWrittenToStandardOutput) {
  const std::string path = trace().write_to(tool.file("t.kvmtape"));
  for (const char* verb : {"recover ", "redact --profile payload ", "import --format raw-pages "}) {
    const ToolRun run = tool.run(verb + path + " -o -");
    EXPECT_EQ(run.status, 2) << verb;
    EXPECT_THAT(run.err, HasSubstr("--output: a recording is not written to standard output"));
    EXPECT_FALSE(std::filesystem::exists(tool.file("-"))) << verb;
  }
}

TEST_F(CliErrorsTest, ARecordingIsNoRawBytes) {
  const std::string path = trace().write_to(tool.file("t.kvmtape"));
  for (const char* verb :
       {"decode --arch x86_64 ", "import --format raw-pages ", "import --format raw-stream "}) {
    const ToolRun run = tool.run(verb + path);
    EXPECT_EQ(run.status, 2) << verb;
    EXPECT_THAT(run.err, HasSubstr("kvmtape dump")) << verb;
    EXPECT_THAT(run.out, IsEmpty()) << verb;
  }
}

TEST_F(CliErrorsTest, WhatCannotBeDoneSaysWhatToDoNext) {
  const std::string path = trace().write_to(tool.file("t.kvmtape"));
  const std::pair<std::string, const char*> cases[] = {
      {"recover " + path + " -o none/x", "make its directory first"},
      {"dump --vcpu x " + path, "--vcpu: 'x' is not a number"},
      {"dump --seq 5-3 " + path, "write A-B"},
      {"info /dev/zero", "a trace is read from a file"},
      {"import --format raw-pages --arch x86_64 --returns none /dev/null", "No such file"},
      {"info " KVMTAPE_SOURCE_DIR "/README.md", "kvmtape import records many\n"},
  };
  for (const auto& [arguments, said] : cases) {
    const ToolRun run = tool.run(arguments);
    EXPECT_EQ(run.status, 2) << arguments;
    EXPECT_THAT(run.err, HasSubstr(said)) << arguments;
  }
}

TEST_F(CliErrorsTest, AFullDiskIsAFailure) {
  const std::string path = trace().write_to(tool.file("t.kvmtape"));
  const ToolRun run = tool.run("dump " + path + " >/dev/full");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("standard output cannot be written"));
}

TEST_F(CliErrorsTest, WhereNobodyCanBeToldTheStatusIsTheSame) {
  const std::string tape = KVMTAPE_BINARY_DIR "/kvmtape ";
  for (const std::string nobody : {"2>/dev/full", "2>&-", "2>&1 >/dev/null | true"}) {
    const bool pipe = nobody.ends_with("true");
    const auto status = [&](const std::string& line) {
      const std::string own = pipe ? "; echo status=$? >&3" : "; echo status=$?";
      return shell("{ { " + line + own + "; } " + (pipe ? "3>&4 " : "") + nobody + "; } 4>&1").out;
    };
    EXPECT_EQ(status(tape + "info no-such-file"), "status=2\n") << nobody;
    EXPECT_EQ(status(tape + "record -o " + tool.file("none/t") + " -- sh -c 'exit 9'"),
              "status=9\n")
        << nobody;
  }
}

TEST_F(CliErrorsTest, WhatCannotBeWrittenWholeIsNotLeftBehind) {
  const std::string path = trace().add_exits(0, 5000).write_to(tool.file("t.kvmtape"));
  const std::string saved = tool.file("saved.kvmtape");
  const ShellRun run =
      shell("trap \"\" XFSZ; ulimit -f 8; " KVMTAPE_BINARY_DIR "/kvmtape recover " + path + " -o " +
            saved + " 2>&1");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.out, HasSubstr("saved.kvmtape: cannot write the trace: File too large; half a "
                                 "recording is not left behind: make room, or name another place"));
  EXPECT_FALSE(std::filesystem::exists(saved));
}

TEST_F(CliErrorsTest, WhatWasToBeReplacedStaysWhereTheNewOneCannotBeWritten) {
  const std::string path = trace().add_exits(0, 5000).write_to(tool.file("t.kvmtape"));
  const std::string saved = trace().add_exits(0, 3).write_to(tool.file("saved.kvmtape"));
  const auto before = file_bytes(saved);
  const ShellRun run =
      shell("trap \"\" XFSZ; ulimit -f 8; " KVMTAPE_BINARY_DIR "/kvmtape recover --force " + path +
            " -o " + saved + " 2>&1");
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(file_bytes(saved), before) << run.out;
}

}  // namespace
}  // namespace kvmtape::testing
