// Each read verb, on small traces and on a real guest's stream: shapes, selections, exit statuses.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/run_tool.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kStreams = KVMTAPE_SOURCE_DIR "/traces/streams/";

class CliTest : public ::testing::Test {
 protected:
  // Two vCPUs of five and three exits.
  std::string sealed_trace() {
    TraceBuilder trace;
    trace.add_exits(0, 5).add_exits(1, 3).seal();
    return trace.write_to(tool.file("small.kvmtape"));
  }
  std::string trace_with_gap() {
    TraceBuilder trace;
    trace.add_exits(0, 5).add_gap(0, 7, GapReason::kRingFull).add_exits(0, 2).add_mark("here");
    trace.seal();
    return trace.write_to(tool.file("gap.kvmtape"));
  }
  // A mark and a refused call before the exits of a vCPU, two of each behind them.
  std::string trace_with_side_lines() {
    constexpr uint64_t kVcpuDescriptor = 2;
    TraceBuilder trace;
    const auto add_side = [&] {
      trace.add_mark("here").add_record(
          kSessionStream, RecordKind::kControlCall, 0,
          {kVcpuDescriptor | uint64_t{0x4090ae82} << 32, 0, 0, 22, 0});
    };
    trace.add_exits(1, 1);
    add_side();
    trace.add_exits(0, 5);
    add_side();
    trace.seal();
    return trace.write_to(tool.file("side.kvmtape"));
  }
  // A number, two structs by pointer, a pointer whose struct was not recorded, an unknown call.
  std::string trace_with_calls() {
    TraceBuilder trace;
    const auto call = [&](uint64_t descriptor, uint64_t request, uint64_t argument, uint64_t vcpu,
                          uint64_t error, std::vector<uint64_t> in) {
      std::vector<uint64_t> record{descriptor | request << 32, argument,
                                   vcpu | (error != 0 ? 0xffffffff00000000 : 0),
                                   error | in.size() * 8 << 32, 0};
      record.insert(record.end(), in.begin(), in.end());
      trace.add_record(kSessionStream, RecordKind::kControlCall, 0, record);
    };
    call(1, 0xae03, 44, 0, 0, {});  // KVM_CAP_HYPERV
    call(2, 0x4020ae46, 0x7000, 0, 0, {3, 0x1000, 0x2000, 0x7f0000000000});
    call(2, 0x4068aea3, 0x7000, 0, 0, {201, 1});
    call(3, 0x4138ae84, 0x7000, 1, 22, {});
    call(3, 0xae77, 0, 1, 0, {});
    trace.add_exits(0, 1).seal();
    return trace.write_to(tool.file("calls.kvmtape"));
  }
  Tool tool;
};

TEST_F(CliTest, TextIsShownAsItIsAndWhatWouldSteerATerminalByItsBytes) {
  TraceBuilder trace;
  trace.add_exits(0, 1)
      .add_mark("\u00fc\u2713\U0001f600 \u202e\u2066\u200b \u0085 \xc3( \x1b[1m")
      .seal();
  EXPECT_THAT(tool.run("dump " + trace.write_to(tool.file("text.kvmtape"))).out,
              HasSubstr("\u00fc\u2713\U0001f600 "
                        "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8b "
                        "\\xc2\\x85 \\xc3( \\x1b[1m\n"));
}

TEST_F(CliTest, DumpPrintsOneLineAnExit) {
  const ToolRun run = tool.run("dump " + sealed_trace());
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(std::count(run.out.begin(), run.out.end(), '\n'), 8);
  EXPECT_THAT(run.out, HasSubstr("1:2 "));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST_F(CliTest, ASelectionOfNothingSaysWhatThereWas) {
  const ToolRun run = tool.run("dump --seq 100-200 " + sealed_trace());
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, HasSubstr("nothing selected; the recording spans 0 s to "));
  EXPECT_THAT(run.err, HasSubstr(", 8 exits\n"));
}

TEST_F(CliTest, DumpJsonBeginsWithTheSessionAndGivesEveryByte) {
  const auto lines = tool.run("dump --json --raw " + sealed_trace()).json_lines();
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0]["kvmtape_json"], 1);
  EXPECT_TRUE(lines[0]["session"]["vcpus"].is_array());
  EXPECT_TRUE(lines[0]["session"]["capabilities"].is_object());
  const auto& exit = lines[1];
  for (const char* key : {"vcpu", "seq", "time_ns", "ret", "reason"})
    EXPECT_TRUE(exit[key].is_number()) << key;
  EXPECT_TRUE(exit["errno"].is_null());
  EXPECT_TRUE(exit["fields"].is_object());
  EXPECT_EQ(exit["raw"]["kvm_run"].get<std::string>().size(), 2 * 288u);
  EXPECT_EQ(exit["answer"]["raw"]["kvm_run"].get<std::string>().size(), 2 * 288u);
  for (const auto& [name, field] : exit["fields"].items())
    if (field["validity"] == "valid")
      EXPECT_FALSE(field.contains("why")) << name;
    else
      EXPECT_TRUE(field["value"].is_null() && field["bytes"].is_string()) << name;
}

TEST_F(CliTest, SelectionsNarrowTheDump) {
  const std::string trace = sealed_trace();
  const auto lines = [&](const std::string& options) {
    return tool.run("dump --json " + options + " " + trace).json_lines().size() - 1;
  };
  EXPECT_EQ(lines("--vcpu 1"), 3u);
  EXPECT_EQ(lines("--vcpu 0,1"), 8u);
  EXPECT_EQ(lines("--seq 1-2"), 4u);
  EXPECT_EQ(lines("--seq 2"), 2u);
  EXPECT_EQ(lines("--tail 3"), 3u);
  EXPECT_EQ(lines("--vcpu 0 --tail 2"), 2u);
  EXPECT_EQ(lines("--time 0,0"), 1u);
}

TEST_F(CliTest, MarksAndCallsAreSelectedByTimeAlone) {
  const std::string trace = trace_with_side_lines();
  const auto count = [&](const std::string& options, const char* word) {
    const std::string out = tool.run("dump " + options + " " + trace).out;
    size_t found = 0;
    for (size_t at = 0; (at = out.find(word, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  for (const char* word : {"  mark  ", "  call  "}) {
    EXPECT_EQ(count("", word), 2u) << word;
    for (const char* options : {"--vcpu 0", "--exit mmio", "--exit 44", "--seq 0-9"})
      EXPECT_EQ(count(options, word), 0u) << options << word;
    EXPECT_EQ(count("--tail 2", word), 1u) << word;
    EXPECT_EQ(count("--tail 99", word), 2u) << word;
  }
  const auto marks = tool.run("dump --json " + trace).json_lines();
  const std::string last = marks.back()["time_ns"].dump();
  EXPECT_EQ(count("--time " + last + ",", "  mark  "), 1u);
  EXPECT_EQ(count("--time 0," + last, "  mark  "), 2u);
}

TEST_F(CliTest, AReasonThatAFailedRunLeftOverIsNotSelected) {
  const std::string trace = KVMTAPE_SOURCE_DIR "/traces/probe-x86_64-6.18.kvmtape";
  size_t io = 0, stale = 0;
  for (const auto& line : tool.run("dump --json " + trace).json_lines()) {
    io += line.value("reason", nlohmann::json()) == 2;
    stale += line.value("stale_reason", nlohmann::json()) == 2;
  }
  ASSERT_GT(io, 0u);
  ASSERT_GT(stale, 0u);
  const auto selected = tool.run("dump --json --exit io " + trace).json_lines();
  EXPECT_EQ(selected.size(), 1 + io);
  for (size_t i = 1; i < selected.size(); ++i) EXPECT_EQ(selected[i]["name"], "KVM_EXIT_IO");
  EXPECT_EQ(tool.run("dump --json --exit io --tail 9999 " + trace).json_lines(), selected);
  EXPECT_EQ(tool.run("stat --json --exit io " + trace).json()["totals"]["selected"], io);
  EXPECT_EQ(
      tool.run("stat --json --no-keys --exit io --tail 3 " + trace).json()["totals"]["selected"],
      3);
}

TEST_F(CliTest, CallsHaveTheKernelsNames) {
  const std::string out = tool.run("dump -v " + trace_with_calls()).out;
  EXPECT_THAT(out, HasSubstr("  KVM_CHECK_EXTENSION(KVM_CAP_HYPERV) on /dev/kvm: 0\n"));
  EXPECT_THAT(out, HasSubstr("  KVM_SET_USER_MEMORY_REGION(slot 3, flags 0x0, 0x2000 bytes at "
                             "0x1000) on VM: 0\n"));
  EXPECT_THAT(out, HasSubstr("  KVM_ENABLE_CAP(KVM_CAP_EXIT_HYPERCALL, 0x1) on VM: 0\n"));
  EXPECT_THAT(out, HasSubstr("  KVM_SET_SREGS(0x7000) on vCPU 1: refused, EINVAL\n"));
  EXPECT_THAT(out, HasSubstr("  ioctl 0xae77(0x0) on vCPU 1: 0\n"));
}

TEST_F(CliTest, WhatWasRemovedOfCallsIsNotTakenForZero) {
  const std::string from = trace_with_calls();
  const auto redacted = [&](const std::string& profile) {
    const std::string to = tool.file("redacted.kvmtape");
    EXPECT_EQ(tool.run("redact --force --profile " + profile + " -o " + to + " " + from).status, 0);
    return tool.run("dump -v " + to).out;
  };
  for (const char* profile : {"payload", "regs", "strict"}) {
    const std::string out = redacted(profile);
    EXPECT_THAT(out, HasSubstr("  KVM_SET_USER_MEMORY_REGION(redacted) on VM: 0\n"));
    EXPECT_THAT(out, HasSubstr("  KVM_ENABLE_CAP(redacted) on VM: 0\n"));
    EXPECT_THAT(out, HasSubstr("  KVM_SET_SREGS(redacted) on vCPU 1: refused, EINVAL\n"));
  }
  EXPECT_THAT(tool.run("diff " + from + " " + tool.file("redacted.kvmtape")).out,
              ContainsRegex("redaction +none -> strict"));
  EXPECT_THAT(redacted("regs"), HasSubstr("KVM_CHECK_EXTENSION(KVM_CAP_HYPERV) on"));
  EXPECT_THAT(redacted("strict"), HasSubstr("KVM_CHECK_EXTENSION(redacted) on /dev/kvm"));
}

TEST_F(CliTest, WhatWritesARecordingSaysItsTotalsAsJson) {
  const std::string out = tool.file("out.kvmtape");
  const auto totals_of = [&](const std::string& arguments) {
    const ToolRun run = tool.run(arguments + " --json --force -o " + out);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out.rfind("{\"kvmtape_json\":1,\"path\":\"" + out + "\"", 0), 0u) << run.out;
    return run.json()["totals"];
  };
  const auto imported = totals_of("import --format raw-stream " + kStreams + "ipxe_virtio.raw.zst");
  const auto redacted = totals_of("redact --profile payload " + sealed_trace());
  EXPECT_EQ(imported["exits"], 6863);
  EXPECT_EQ(imported["vcpus"], 1);
  EXPECT_EQ(imported["lost"], 0);
  EXPECT_EQ(redacted["exits"], 8);
  EXPECT_EQ(redacted["vcpus"], 2);
  EXPECT_EQ(redacted["bytes"], std::filesystem::file_size(out));
  EXPECT_THAT(tool.run("dump --json " + out).out,
              HasSubstr(R"("value":null,"bytes":null,"validity":"unknown","why":"redacted")"));
  EXPECT_EQ(totals_of("recover " + sealed_trace())["exits"], 8);
}

TEST_F(CliTest, AllColoursEndOnTheirLine) {
  const std::string out = tool.run("stat --color=always " + sealed_trace()).out;
  for (size_t at = 0; (at = out.find('\n', at)) != std::string::npos; ++at)
    EXPECT_NE(out.substr(at + 1, 4), "\x1b[0m");
}

TEST_F(CliTest, InfoLeavesOutWhatNobodyKnows) {
  TraceBuilder trace;
  trace.add_exits(0, 1).seal();
  const std::string out = tool.run("info " + trace.write_to(tool.file("one.kvmtape"))).out;
  EXPECT_THAT(out, HasSubstr("1, 0 lost, 1 vCPU\n"));
  EXPECT_THAT(out, Not(HasSubstr(", by \n")));
}

TEST_F(CliTest, InfoNamesTheSignalThatEndedTheMonitorWhereOneDid) {
  const auto killed_by = [&](const std::string& mark) {
    TraceBuilder trace;
    trace.add_exits(0, 1).add_mark(mark).add_exits(0, 1).seal();
    const std::string path = trace.write_to(tool.file("marked.kvmtape"));
    return tool.run("info --json " + path).json()["session"]["monitor"]["killed_by"];
  };
  EXPECT_EQ(killed_by("the monitor was killed by SIGSEGV"), "SIGSEGV");
  EXPECT_TRUE(killed_by("the monitor was restarted").is_null());
}

TEST_F(CliTest, TheManualPageHasEveryVerbAndOption) {
  const std::vector<uint8_t> bytes = file_bytes(KVMTAPE_SOURCE_DIR "/docs/kvmtape.1");
  std::string manual(bytes.begin(), bytes.end());
  std::erase(manual, '\\');
  const std::string help = tool.run("--help").out;
  const auto verb_of = [](std::string_view line) {  // "  dump    the exits, decoded"
    return line.size() > 2 && line.starts_with("  ") && line[2] != ' '
               ? line.substr(2, line.find(' ', 2) - 2)
               : std::string_view();
  };
  size_t options = 0;
  std::istringstream verbs(help.substr(help.find("Subcommands:")));
  for (std::string line; std::getline(verbs, line);) {
    const std::string name(verb_of(line));
    if (name.empty()) continue;
    EXPECT_TRUE(manual.find(".B " + name) != std::string::npos ||
                manual.find(".BR " + name) != std::string::npos)
        << name;
    const std::string text = tool.run(name + " --help").out;
    for (size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
      const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at);
      const std::string option = text.substr(at, end - at);
      if (option == "--") continue;  // what stands behind it is a monitor's
      ++options;
      EXPECT_THAT(manual, HasSubstr(option)) << name;
    }
  }
  EXPECT_GT(options, 80u);
}

TEST_F(CliTest, GapsAndMarksHaveLinesOfTheirOwnAndStatusThree) {
  const std::string trace = trace_with_gap();
  const ToolRun text = tool.run("dump " + trace);
  EXPECT_EQ(text.status, 3);
  EXPECT_THAT(text.out, HasSubstr("gap                       7 exits lost: ring full"));
  EXPECT_THAT(text.err, HasSubstr("7 exits lost"));
  const ToolRun json = tool.run("dump -q --json " + trace);
  EXPECT_THAT(
      json.out,
      HasSubstr(R"({"vcpu":0,"gap":{"lost":7,"first_seq":5,"last_seq":11,"why":"ring full"}})"));
  EXPECT_THAT(json.out, HasSubstr(R"({"mark":"here","time_ns":)"));
  EXPECT_THAT(json.err, IsEmpty());
}

TEST_F(CliTest, ARepeatStandsAtTheTimeOfItsLastExit) {
  TraceBuilder trace;
  const uint64_t tsc = exit_tsc(0, 1);
  trace.add_exits(0, 2).add_record(0, RecordKind::kRepeat, 0, {1, 3, tsc + 1, tsc + 9, 1, 1});
  const auto seconds = [](uint64_t ticks) {
    constexpr uint64_t kStart = 1'000'000, kSecond = 1'000'000'000;
    return "0." + std::to_string(kSecond + ticks - kStart).substr(1);
  };
  EXPECT_THAT(tool.run("dump " + trace.seal().write_to(tool.file("r.kvmtape"))).out,
              HasSubstr(seconds(tsc + 9) + "  repeat                    3 more times from " +
                        seconds(tsc + 1) + " on, until 0:4\n"));
}

TEST_F(CliTest, InfoAndVerifyAndStatPrintOneObject) {
  const std::string trace = trace_with_gap();
  const auto info = tool.run("info --json " + trace).json();
  EXPECT_EQ(info["totals"]["exits"], 7);
  EXPECT_EQ(info["gaps"][0]["lost"], 7);
  EXPECT_EQ(info["storage"]["sealed"], true);
  const auto verify = tool.run("verify --json " + trace).json();
  EXPECT_EQ(verify["damaged"], 0);
  EXPECT_EQ(verify["exits"], 7);
  EXPECT_EQ(verify["lost"], 7);
  const ToolRun stat = tool.run("stat --json " + trace);
  EXPECT_EQ(stat.out.rfind("{\"kvmtape_json\":1", 0), 0u);
  EXPECT_EQ(stat.json()["totals"]["lost"], 7);
}

TEST_F(CliTest, StatAgreesWithAndWithoutKeys) {
  const std::string trace = tool.file("ipxe.kvmtape");
  ASSERT_EQ(
      tool.run("import --format raw-stream -o " + trace + " " + kStreams + "ipxe_virtio.raw.zst")
          .status,
      0);
  const auto keyed = tool.run("stat --json " + trace).json();
  const auto plain = tool.run("stat --json --no-keys " + trace).json();
  nlohmann::json without_keys = nlohmann::json::array();
  for (const auto& row : keyed["rows"])
    if (!row.contains("key")) without_keys.push_back(row);
  ASSERT_EQ(without_keys.size(), plain["rows"].size());
  uint64_t total = 0;
  for (size_t i = 0; i < without_keys.size(); ++i) {
    EXPECT_EQ(without_keys[i]["exit"], plain["rows"][i]["exit"]);
    EXPECT_EQ(without_keys[i]["count"], plain["rows"][i]["count"]);
    total += plain["rows"][i]["count"].get<uint64_t>();
  }
  EXPECT_EQ(total, keyed["totals"]["exits"]);
}

TEST_F(CliTest, ColoursOnlyWhereTheyAreWanted) {
  const std::string trace = sealed_trace();
  EXPECT_THAT(tool.run("dump " + trace).out, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(tool.run("dump --color=always " + trace).out, HasSubstr("\x1b["));
  EXPECT_THAT(tool.run("dump --color=auto " + trace, "NO_COLOR=1").out, Not(HasSubstr("\x1b[")));
}

TEST_F(CliTest, AClosedPipeEndsQuietly) {
  const std::string trace = tool.file("boot.kvmtape");
  ASSERT_EQ(
      tool.run("import --format raw-stream -o " + trace + " " + kStreams + "linux_boot.raw.zst")
          .status,
      0);
  const ToolRun run = tool.run("dump --json --raw " + trace + " | head -n 2");
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, IsEmpty());
  EXPECT_EQ(run.json_lines().size(), 2u);
}

TEST_F(CliTest, ImportIsFollowedByLatest) {
  const ToolRun import = tool.run("import --format raw-stream " + kStreams + "ipxe_virtio.raw.zst");
  EXPECT_EQ(import.status, 0) << import.err;
  EXPECT_THAT(import.err, HasSubstr("[ kvmtape: "));
  EXPECT_EQ(tool.run("info --json").json()["kvmtape_json"], 1);
}

TEST_F(CliTest, ImportOfACutStreamKeepsWhatCameBefore) {
  const std::string trace = tool.file("cut.kvmtape");
  const ToolRun run =
      tool.run("import --format raw-stream -o " + trace + " cut.raw",
               "zstd -dcq " + kStreams + "ipxe_virtio.raw.zst | head -c 100001 >cut.raw;");
  EXPECT_EQ(run.status, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("everything before it was imported"));
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
}

TEST_F(CliTest, ImportOfWhatIsNoStreamLeavesNothing) {
  ASSERT_EQ(tool.run("import --format raw-stream -q " + kStreams + "ipxe_virtio.raw.zst").status,
            0);
  const auto latest = tool.run("info --json").json()["session"]["uuid"];
  const std::string trace = tool.file("none.kvmtape");
  for (const char* input : {"raw-stream text", "raw-stream /dev/null",
                            "raw-pages --arch x86_64 text", "raw-pages --arch x86_64 /dev/null"}) {
    const ToolRun run = tool.run("import -o " + trace + " --format " + input, "echo hello >text;");
    EXPECT_EQ(run.status, 2) << input;
    EXPECT_THAT(run.err, HasSubstr("nothing was imported")) << input;
    EXPECT_FALSE(std::filesystem::exists(trace)) << input;
    EXPECT_EQ(tool.run(std::string("import --format ") + input, "echo hello >text;").status, 2);
    EXPECT_EQ(tool.run("info --json").json()["session"]["uuid"], latest) << input;
  }
}

}  // namespace
}  // namespace kvmtape::testing
