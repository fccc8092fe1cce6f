// `kvmtape diff` on recordings of real kernels, and on small ones that differ at known places.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "tests/support/run_tool.h"
#include "tests/support/synthetic_trace.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kTraces = KVMTAPE_SOURCE_DIR "/traces/";
const std::string kKernels =
    kTraces + "a64-5.10.218-n1.kvmtape " + kTraces + "a64-6.1.192-n1.kvmtape";

class DiffTest : public ::testing::Test {
 protected:
  // Five exits of vCPU 0 and three of vCPU 1.
  std::string five_and_three(const std::string& name) {
    TraceBuilder trace;
    trace.add_exits(0, 5).add_exits(1, 3).seal();
    return trace.write_to(tool.file(name));
  }
  std::string without_exit_two() {
    TraceBuilder trace;
    trace.add_exits(0, 2)
        .add_gap(0, 1, GapReason::kRingFull)
        .add_exits(0, 2)
        .add_exits(1, 3)
        .seal();
    return trace.write_to(tool.file("dropped.kvmtape"));
  }
  Tool tool;
};

TEST_F(DiffTest, EqualRecordingsAreStatusZero) {
  const std::string both = five_and_three("a.kvmtape") + " " + five_and_three("b.kvmtape");
  const ToolRun text = tool.run("diff " + both);
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("8 the same, 0 changed, 0 only in A, 0 only in B"));
  const auto json = tool.run("diff --json " + both).json();
  EXPECT_EQ(json["kvmtape_json"], 1);
  EXPECT_TRUE(json["equal"].get<bool>());
  EXPECT_TRUE(json["first_divergence"].is_null());
  EXPECT_THAT(json["changes"], IsEmpty());
}

TEST_F(DiffTest, ADroppedExitIsLostWhereItWasAndStatusThree) {
  const std::string whole = five_and_three("a.kvmtape"), dropped = without_exit_two();
  const ToolRun run = tool.run("diff --json " + whole + " " + dropped);
  EXPECT_EQ(run.status, 3) << run.err;
  const auto json = run.json();
  EXPECT_THAT(json["changes"], IsEmpty());
  EXPECT_TRUE(json["first_divergence"].is_null());
  EXPECT_FALSE(json["complete"].get<bool>());
  EXPECT_EQ(json["totals"]["lost_in_b"], 1);
  ASSERT_EQ(json["lost"].size(), 1u);
  EXPECT_EQ(json["lost"][0]["in"], "b");
  EXPECT_EQ(json["lost"][0]["vcpu"], 0);
  EXPECT_EQ(json["lost"][0]["first_seq"], 2);
  EXPECT_EQ(json["lost"][0]["other_first_seq"], 2);
  EXPECT_EQ(json["lost"][0]["why"], "ring full");
  const auto other_way = tool.run("diff --json " + dropped + " " + whole).json();
  EXPECT_EQ(other_way["totals"]["lost_in_a"], 1);
  EXPECT_EQ(other_way["lost"][0]["in"], "a");
}

TEST_F(DiffTest, DistributionsCountBothSides) {
  const auto json =
      tool.run("diff --json " + five_and_three("a.kvmtape") + " " + without_exit_two()).json();
  ASSERT_EQ(json["distributions"].size(), 2u);
  EXPECT_EQ(json["distributions"][0]["exit"], "KVM_EXIT_MMIO");
  EXPECT_EQ(json["distributions"][0]["count_a"], 5);
  EXPECT_EQ(json["distributions"][0]["count_b"], 4);
  EXPECT_FALSE(json["distributions"][0]["monitor_ns"]["differs"].get<bool>());
  EXPECT_TRUE(tool.run("diff --json " + kKernels).json()["distributions"][0]["guest_ns"].is_null());
}

TEST_F(DiffTest, ExitsOfAVcpuThatOnlyOneHasAreAllExtra) {
  TraceBuilder trace;
  trace.add_exits(0, 5).seal();
  const std::string one = trace.write_to(tool.file("one.kvmtape"));
  const auto json = tool.run("diff --json " + one + " " + five_and_three("b.kvmtape")).json();
  EXPECT_EQ(json["totals"]["same"], 5);
  EXPECT_EQ(json["totals"]["extra"], 3);
}

TEST_F(DiffTest, AnUnsealedRecordingIsComparedAndStatusThree) {
  TraceBuilder trace;
  trace.add_exits(0, 5).add_exits(1, 3).cut();
  const std::string unsealed = trace.write_to(tool.file("unsealed.kvmtape"));
  const ToolRun equal = tool.run("diff " + unsealed + " " + five_and_three("b.kvmtape"));
  EXPECT_EQ(equal.status, 3);
  EXPECT_THAT(equal.err, HasSubstr("unsealed"));
  TraceBuilder shorter;
  shorter.add_exits(0, 5).add_exits(1, 2).seal();
  const std::string without_last = shorter.write_to(tool.file("shorter.kvmtape"));
  EXPECT_EQ(tool.run("diff " + unsealed + " " + without_last).status, 1);
}

TEST_F(DiffTest, ADamagedChunkIsLostAndNeitherADifferenceNorAFailure) {
  TraceBuilder trace;
  trace.add_exits(0, 5).cut().add_exits(0, 5).cut().add_exits(0, 5).seal();
  const std::string whole = trace.write_to(tool.file("whole.kvmtape"));
  trace.flip_byte(trace.offset_of(ChunkType::kExits, 1) + sizeof(ChunkHeader) + 8);
  const std::string damaged = trace.write_to(tool.file("damaged.kvmtape"));
  const ToolRun run = tool.run("diff --json " + whole + " " + damaged);
  EXPECT_EQ(run.status, 3);
  EXPECT_EQ(run.json()["totals"]["same"], 10);
  EXPECT_EQ(run.json()["totals"]["missing"], 0);
  EXPECT_EQ(run.json()["totals"]["lost_in_b"], 5);
  EXPECT_THAT(tool.run("diff " + whole + " " + damaged).out,
              HasSubstr("5 x lost in B (gap: damaged, 5 exits)  A 0:5 to 0:9"));
  const ToolRun unexplained = tool.run("diff --only unexplained " + whole + " " + damaged);
  EXPECT_EQ(unexplained.status, 3);
  EXPECT_THAT(unexplained.out, Not(HasSubstr("gap: damaged")));
  EXPECT_THAT(unexplained.out, HasSubstr("not a complete comparison: 5 exits of A lost in B"));
}

TEST_F(DiffTest, ARecordingAgainstDamagedCopiesOfItHasNoDifference) {
  const std::string corrupt = kTraces + "corrupt/";
  for (const auto& [copy, says] : {std::pair{"bad_crc", "6 x lost in B (gap: damaged, 6 exits)"},
                                   std::pair{"torn_tail", "2 x lost in B (torn end)"}}) {
    const ToolRun run =
        tool.run("diff " + corrupt + "no_footer.kvmtape " + corrupt + copy + ".kvmtape");
    EXPECT_EQ(run.status, 3) << run.out;
    EXPECT_THAT(run.out, HasSubstr(says));
    EXPECT_THAT(run.out, HasSubstr("0 only in A"));
  }
}

TEST_F(DiffTest, WhatOnlyOneKernelFillsInIsSaidAndExplained) {
  const ToolRun run = tool.run("diff --json " + kKernels);
  EXPECT_EQ(run.status, 1) << run.err;
  const auto json = run.json();
  bool seen = false;
  for (const auto& change : json["changes"]) {
    if (change["name"] != "KVM_EXIT_DEBUG" || change["kind"] != "changed") continue;
    const auto& field = change["fields"]["debug.arch.hsr_high"];
    EXPECT_EQ(field["a"]["validity"], "absent");
    EXPECT_TRUE(field["a"]["value"].is_null());
    EXPECT_EQ(field["b"]["validity"], "valid");
    EXPECT_EQ(field["b"]["value"], "0x0");
    EXPECT_EQ(field["explained_by"][0], "arm64-hsr-high");
    EXPECT_TRUE(change.contains("explained_by"));
    seen = true;
  }
  EXPECT_TRUE(seen);
  EXPECT_TRUE(json["kernel_changes"].contains("arm64-watchpoint-far"));
  EXPECT_EQ(json["session"][0]["name"], "kernel");
  EXPECT_EQ(json["session"][0]["b"], "6.1.192");
}

// A row begins with how often it is; a field is of the row above, and stands deeper than its kind.
TEST_F(DiffTest, AFieldStandsDeeperThanTheRowThatItIsOf) {
  const std::string out = tool.run("diff " + kKernels).out;
  EXPECT_THAT(out, ContainsRegex("\n +[0-9]+ x changed  [^\n]*\n {15}[a-z_.]+ +[^\n]* -> "));
  EXPECT_THAT(out, Not(ContainsRegex("\n {3,10}[a-z_.]+ +[^\n]* -> ")));
}

TEST_F(DiffTest, OnlyUnexplainedLeavesOutWhatKernelsExplain) {
  const ToolRun text = tool.run("diff --only unexplained " + kKernels);
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.out, Not(HasSubstr("explained by known kernel changes\n")));
  EXPECT_THAT(text.out, HasSubstr("mmio.data"));
  const auto found = tool.run("diff --json --only unexplained " + kKernels).json();
  for (const auto& change : found["changes"])
    EXPECT_FALSE(change.contains("explained_by")) << change;
  const std::string debug = "diff --only unexplained --ignore mmio,debug " + kKernels;
  EXPECT_EQ(tool.run(debug).status, 0) << tool.run(debug).out;
}

// 10000096ffffffff is the ESR of an injected abort as 6.1 gave it to the guest, which wrote it to
// us.
TEST_F(DiffTest, ASignThatOneKernelExtendsIsExplainedAndWhatElseAGuestSeesIsNamed) {
  const auto found = tool.run("diff --json " + kKernels).json();
  size_t extended = 0;
  for (const auto& change : found["changes"]) {
    const auto data = change["fields"].find("mmio.data");
    if (data == change["fields"].end()) continue;
    const bool by_sign = (*data)["b"]["value"] == "10000096ffffffff";
    EXPECT_EQ(data->contains("explained_by"), by_sign) << change;
    extended += by_sign ? 1 : 0;
  }
  EXPECT_EQ(extended, 2u);
  EXPECT_THAT(found["seen_by_guest"], ::testing::Contains("arm64-os-lock"));
}

TEST_F(DiffTest, AResetIsExplainedByResetsAlone) {
  const auto found = tool.run("diff --json " + kKernels).json();
  size_t resets = 0;
  for (const auto& change : found["changes"]) {
    if (change["kind"] != "extra" || change["name"] != "KVM_EXIT_SYSTEM_EVENT") continue;
    const bool is_reset2 = change["text_b"] == "reset (PSCI SYSTEM_RESET2)";
    resets += is_reset2 ? 1 : 0;
    if (!is_reset2) continue;
    EXPECT_EQ(change["explained_by"], nlohmann::json({"arm64-reset2"}));
  }
  EXPECT_GE(resets, 1u);
}

TEST_F(DiffTest, IgnoredNamesAreNotCompared) {
  const auto fields = [&](const std::string& options) {
    return tool.run("diff --json " + options + " " + kKernels).json()["changes"].dump();
  };
  EXPECT_THAT(fields(""), HasSubstr("debug.arch.far"));
  EXPECT_THAT(fields("--ignore debug.arch.far"), Not(HasSubstr("debug.arch.far")));
  EXPECT_THAT(fields("--ignore arm64-watchpoint-far"), Not(HasSubstr("debug.arch.far")));
  EXPECT_THAT(fields("--ignore debug"), Not(HasSubstr("KVM_EXIT_DEBUG")));
  EXPECT_THAT(fields("--ignore flags"), Not(HasSubstr("\"flags\"")));
}

TEST_F(DiffTest, InterruptedRunsAreComparedWhenAsked) {
  const auto compared = [&](const std::string& options) {
    return tool.run("diff --json " + options + " " + kKernels).json()["totals"]["compared_a"];
  };
  EXPECT_EQ(compared(""), 109);
  EXPECT_EQ(compared("--compare eintr"), 111);
}

// Each selection leaves the exit out that is different, or is nothing but that.
TEST_F(DiffTest, SelectionsNarrowBothSides) {
  const auto ports = [&](const char* name, uint8_t third) {
    SyntheticTrace trace;
    trace.intel().out(0x80, {1}).hlt(true).out(0x80, {third}).out(0x80, {4});
    return trace.write_to(tool.file(name));
  };
  const std::string both = ports("a", 3) + " " + ports("b", 9) + " ";
  const auto changed = [&](const std::string& selection) {
    const auto json = tool.run("diff --json " + both + selection).json();
    return std::pair(json["changes"].size(), json["equal"].get<bool>());
  };
  EXPECT_EQ(changed(""), std::pair(1ul, false));
  EXPECT_EQ(changed("--seq 0-1"), std::pair(0ul, true));
  EXPECT_EQ(changed("--seq 2"), std::pair(1ul, false));
  EXPECT_EQ(changed("--exit hlt"), std::pair(0ul, true));
  EXPECT_EQ(changed("--exit io"), std::pair(1ul, false));
  EXPECT_EQ(changed("--tail 1"), std::pair(0ul, true));
  EXPECT_EQ(changed("--tail 2"), std::pair(1ul, false));
  EXPECT_EQ(changed("--time ,0"), std::pair(0ul, true));
  const auto change = tool.run("diff --json --tail 2 " + both).json()["changes"][0];
  EXPECT_EQ(change["seq_a"], 2);
  EXPECT_EQ(change["seq_b"], 2);
}

// Seven to nine exits of vCPU 0 in chunks; the first six are in a damaged one, or the end is torn.
TEST_F(DiffTest, LossesInsideOfASelectionAreNoDifferences) {
  const std::string whole = kTraces + "corrupt/bad_footer.kvmtape ";
  for (const char* selection :
       {"", " --seq 3-8", " --time 300,900", " --seq 0-9", " --time 0,1s", " --tail 3"})
    for (const char* damaged : {"corrupt/bad_crc.kvmtape ", "corrupt/torn_tail.kvmtape "}) {
      const ToolRun run = tool.run("diff --json " + whole + kTraces + damaged + selection);
      EXPECT_EQ(run.json()["totals"]["unexplained"], 0) << damaged << selection << run.out;
      EXPECT_EQ(run.status, 3) << damaged << selection;
    }
}

// What was lost elsewhere does not excuse what is missing here.
TEST_F(DiffTest, LossesOutsideOfASelectionDoNotCount) {
  const std::string both = five_and_three("a.kvmtape") + " " + without_exit_two();
  const auto json = tool.run("diff --json --seq 3- " + both).json();
  EXPECT_THAT(json["changes"], IsEmpty());
  EXPECT_THAT(json["lost"], IsEmpty()) << json["lost"];
}

TEST_F(DiffTest, RecordingsOfTwoArchitecturesAreRefused) {
  const ToolRun run =
      tool.run("diff " + kTraces + "rv64-6.12.107.kvmtape " + kTraces + "a64-6.1.192-n1.kvmtape");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("two architectures, riscv64 and aarch64"));
}

// Nothing says any more of which architecture it was.
TEST_F(DiffTest, ARecordingWhoseHeadIsTornLostAllOfTheOther) {
  const std::string whole = five_and_three("a.kvmtape"), torn = tool.file("torn.kvmtape");
  std::filesystem::copy_file(whole, torn);
  std::filesystem::resize_file(torn, 100);
  for (const bool in_b : {true, false}) {
    const ToolRun run = tool.run("diff --json " + (in_b ? whole + " " + torn : torn + " " + whole));
    EXPECT_EQ(run.status, 3) << run.err;
    EXPECT_THAT(run.err, HasSubstr("torn.kvmtape: torn at byte 64"));
    const auto totals = run.json()["totals"];
    EXPECT_EQ(totals[in_b ? "lost_in_b" : "lost_in_a"], 8);
    EXPECT_EQ(totals["unexplained"], 0);
  }
}

TEST_F(DiffTest, AMistypedNameIsAnsweredWithTheRightOne) {
  const ToolRun run = tool.run("diff --ignore debug.arch.fat " + kKernels);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("did you mean debug.arch.far?"));
}

TEST_F(DiffTest, TwoProbesOfOneKernelAreEqual) {
  if (access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/kvm here";
  const std::string a = tool.file("a.kvmtape"), b = tool.file("b.kvmtape");
  // A guest that the machine held up for all of its time is compared once more, with time enough;
  // not at once, since one that spins on this kernel takes all of it.
  ToolRun run;
  for (const std::string options : {"--force -o ", "--guest-seconds 60 --force -o "}) {
    for (const std::string& trace : {a, b}) {
      const ToolRun probe = tool.run("probe " + options + trace);
      if (probe.status != 0) GTEST_SKIP() << "probe: " << probe.err;
    }
    run = tool.run("diff " + a + " " + b);
    if (run.status == 0) break;
  }
  EXPECT_EQ(run.status, 0) << run.out << run.err;
}

TEST_F(DiffTest, PoisonIsToldAndIsTakenForNothingThatTheKernelWrote) {
  if (access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/kvm here";
  const std::string plain = tool.file("plain.kvmtape"), poisoned = tool.file("poisoned.kvmtape");
  for (const std::string& options : {"-o " + plain, "--poison -o " + poisoned}) {
    const ToolRun probe = tool.run(
        "probe --guest-seconds 60 "
        "--only mmio_read,mmio_write,mmio_read_only_slot,coalesced_mmio,intr_immediate " +
        options);
    if (probe.status != 0) GTEST_SKIP() << "probe: " << probe.err;
  }
  EXPECT_THAT(tool.run("dump " + poisoned).out, HasSubstr("kvm_run is filled with 0xaa"));
  const ToolRun run = tool.run("diff " + plain + " " + poisoned);
  EXPECT_EQ(run.status, 0) << run.out << run.err;
}

TEST_F(DiffTest, TwoBootsAreComparedBySymbol) {
  const auto boot = [&](const std::string& name, uint64_t pc) {
    SyntheticTrace trace;
    trace.intel().debug_x86(3, pc, 0xffff0ff0, 0x400).console("up");
    return trace.write_to(tool.file(name));
  };
  const auto map = [&](const std::string& name, const std::string& text) {
    write_file(tool.file(name), {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return tool.file(name);
  };
  const std::string both = boot("a", 0xffffffff81000102) + " " + boot("b", 0xffffffff9b000102);
  const std::string linked = map("map", "ffffffff81000100 t do_idle\n");
  const std::string ran =
      map("ran", "ffffffff9b000100 t do_idle\nffffffffc0001000 t irq\t[nvme]\n");
  EXPECT_EQ(tool.run("diff " + both).status, 1);
  EXPECT_EQ(tool.run("diff " + both + " --symbols-a " + linked + " --symbols-b " + ran).status, 0);
  EXPECT_EQ(tool.run("diff " + both + " --symbols-a " + linked + " --symbols-b " + linked +
                     " --kaslr-b 0x1a000000")
                .status,
            0);
  const auto told = tool.run("diff " + both + " --symbols-a " + linked + " --symbols-b " + linked);
  EXPECT_EQ(told.status, 1);
  EXPECT_THAT(told.out, HasSubstr("do_idle+0x2"));
  const auto json = nlohmann::json::parse(
      tool.run("diff --json " + both + " --symbols-a " + linked + " --symbols-b " + ran).out);
  EXPECT_EQ(json["a"]["symbols"]["path"], linked);
  EXPECT_EQ(json["b"]["symbols"]["count"], 2);
  EXPECT_EQ(json["b"]["symbols"]["kaslr"], "0x0");
  const auto moved_twice = tool.run("diff " + both + " --symbols-a " + linked + " --symbols-b " +
                                    ran + " --kaslr-b 0x1a000000");
  EXPECT_EQ(moved_twice.status, 2);
  EXPECT_THAT(moved_twice.err, HasSubstr("it is moved already"));
  for (const char* wrong : {" --kaslr-a 0x10", " --symbols-a x", " --symbols-a x --symbols-b x"})
    EXPECT_EQ(tool.run("diff " + both + wrong).status, 2) << wrong;
}

}  // namespace
}  // namespace kvmtape::testing
