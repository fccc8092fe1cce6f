// `kvmtape explain` with the guest kernel's symbols: where they come from, and how far they moved.
#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "tests/support/run_tool.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kLinkedAt = 0xffffffff81000000;
constexpr char kNotKnown[] = "it is not known how far KASLR moved the guest's kernel";

class ExplainSymbols : public ::testing::Test {
 protected:
  // A guest that died at `rip`, and said this before.
  std::string dead_at(uint64_t rip, const std::string& said = {}) {
    SyntheticTrace trace;
    trace.intel().console(said + "\n").shutdown().regs(with(long_mode(rip), {{"idt.limit", 0}}));
    return trace.write_to(tool.file("dead.kvmtape"));
  }
  std::string table(const std::string& name) {
    std::ofstream(tool.file(name)) << "ffffffff81000000 T _text\n"
                                      "ffffffff81000100 t do_idle\n"
                                      "ffffffff81000200 T panic\n";
    return tool.file(name);
  }
  // That the program counter, do_idle+0x12 moved by 0x1a000000, is named.
  void expect_named(const std::string& options) {
    const ToolRun run = tool.run("explain " + options + " " + dead_at(kLinkedAt + 0x1a000112));
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("0xffffffff9b000112 do_idle+0x12")) << options;
  }
  void expect_usage_error(const std::string& options) {
    const ToolRun run = tool.run("explain " + options + " " + dead_at(kLinkedAt));
    EXPECT_EQ(run.status, 2) << options;
    EXPECT_THAT(run.err, HasSubstr("--kaslr: ")) << options;
    EXPECT_THAT(run.err, HasSubstr("0x1a000000")) << "what to write instead";
  }
  Tool tool;
};

TEST_F(ExplainSymbols, KaslrTakesTheNumberAsItsHelpWritesIt) {
  expect_named("--kaslr 0x1a000000 --system-map " + table("System.map"));
}

TEST_F(ExplainSymbols, AFileThatIsNoVmlinuxIsAnsweredWithWhatItShouldBe) {
  const ToolRun run = tool.run("explain --vmlinux /etc/passwd " + dead_at(kLinkedAt));
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("no ELF file"));
}

TEST_F(ExplainSymbols, KaslrTakesADecimalNumber) {
  expect_named("--kaslr 436207616 --system-map " + table("System.map"));
}

TEST_F(ExplainSymbols, AnOffsetThatIsNoneIsAMistakeWithSymbolsAndWithout) {
  for (const char* offset :
       {"nonsense", "0x", "1a000000", "0x1a000000,", "-1", "0x10000000000000000"}) {
    expect_usage_error(std::string("--kaslr=") + offset);
    expect_usage_error(std::string("--kaslr=") + offset + " --system-map " + table("System.map"));
  }
}

TEST_F(ExplainSymbols, AnOffsetWithoutSymbolsIsAMistake) {
  const ToolRun run = tool.run("explain --kaslr 0x1a000000 " + dead_at(kLinkedAt));
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("give --vmlinux"));
}

TEST_F(ExplainSymbols, AnOffsetThatIsNotKnownIsSaidNotToBe) {
  const ToolRun run =
      tool.run("explain --system-map " + table("System.map") + " " + dead_at(kLinkedAt + 0x112));
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr(kNotKnown));
  EXPECT_THAT(run.out, HasSubstr("0xffffffff81000112 do_idle+0x12"));
}

TEST_F(ExplainSymbols, WhatThePanicSaidOfItsOffsetIsTaken) {
  const ToolRun run = tool.run(
      "explain --system-map " + table("System.map") + " " +
      dead_at(kLinkedAt + 0x1a000112, "Kernel Offset: 0x1a000000 from 0xffffffff81000000"));
  EXPECT_THAT(run.out, HasSubstr("the kernel was moved by 0x1a000000: it said so on its console"));
  EXPECT_THAT(run.out, HasSubstr("0xffffffff9b000112 do_idle+0x12"));
}

TEST_F(ExplainSymbols, KallsymsAreWhereTheKernelRan) {
  const ToolRun run =
      tool.run("explain --kallsyms " + table("kallsyms") + " " +
               dead_at(kLinkedAt + 0x112, "Kernel Offset: 0x1a000000 from 0xffffffff81000000"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, Not(HasSubstr(kNotKnown)));
  EXPECT_THAT(run.out, HasSubstr("0xffffffff81000112 do_idle+0x12"));
}

TEST_F(ExplainSymbols, TheDocumentHasTheOffsetAndTheNames) {
  const auto symbols = tool.run("explain --json --kaslr 0x1a000000 --system-map " +
                                table("System.map") + " " + dead_at(kLinkedAt + 0x1a000112))
                           .json()["symbols"];
  EXPECT_EQ(symbols["kaslr"], "0x1a000000");
  EXPECT_EQ(symbols["names"][0]["of"], "rip");
  EXPECT_EQ(symbols["names"][0]["name"], "do_idle+0x12");
}

TEST_F(ExplainSymbols, OnlyOneTableIsTaken) {
  const std::string path = table("System.map"), trace = dead_at(kLinkedAt);
  for (const char* other : {"--kallsyms ", "--vmlinux "})
    EXPECT_EQ(tool.run("explain --system-map " + path + " " + other + path + " " + trace).status, 2)
        << other;
}

TEST_F(ExplainSymbols, ATableThatIsNotThereIsAFailure) {
  const std::string missing = tool.file("missing"), trace = dead_at(kLinkedAt);
  for (const char* option : {"--system-map ", "--kallsyms ", "--vmlinux "}) {
    const ToolRun run = tool.run("explain " + std::string(option) + missing + " " + trace);
    EXPECT_EQ(run.status, 2) << option;
    EXPECT_THAT(run.err, HasSubstr(missing)) << option;
  }
}

#ifdef KVMTAPE_SMALL_KERNEL
TEST_F(ExplainSymbols, AVmlinuxHasTheNamesAndTheLines) {
  // Behind the first instructions of its first function.
  const ToolRun run = tool.run("explain --kaslr 0x1a000000 --vmlinux " KVMTAPE_SMALL_KERNEL " " +
                               dead_at(kLinkedAt + 0x1a000002));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("0xffffffff9b000002 panic+0x2"));
  EXPECT_THAT(run.out, HasSubstr("small_kernel.c:"));
}
#endif

}  // namespace
}  // namespace kvmtape::testing
