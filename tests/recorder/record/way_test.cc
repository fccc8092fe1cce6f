// The way for a program, told from its file: real programs, built here by this machine's compilers.
#include "recorder/record/way.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/scratch.h"
#include "tests/support/shell.h"

namespace kvmtape {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDirectory;
using testing::shell;

class WayTest : public ::testing::Test {
 protected:
  // Empty if the compiler is not there.
  std::string build(const std::string& compiler, const std::string& more_source = {}) {
    const std::string path = directory_.file("monitor");
    std::ofstream(path + ".c") << "int main(void) { return 0; }\n" << more_source;
    const std::string line = compiler + " -o " + path + " " + path + ".c 2>&1";
    return shell(line).status == 0 ? path : std::string();
  }
  std::string script(const std::string& first_line) {
    const std::string path = directory_.file("script");
    std::ofstream(path) << first_line << "\n";
    ::chmod(path.c_str(), 0755);
    return path;
  }
  static Way way_of(const std::string& path) {
    auto way = choose_way(path);
    EXPECT_TRUE(way.ok()) << way.error().to_string();
    return way.ok() ? *way : Way{};
  }

  ScratchDirectory directory_;
};

TEST_F(WayTest, ADynamicProgramIsPreloaded) {
  const std::string program = build("cc");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  EXPECT_EQ(way_of(program).kind, Way::Kind::kPreload);
}

TEST_F(WayTest, AStaticProgramIsNot) {
  const std::string program = build("cc -static");
  if (program.empty()) GTEST_SKIP() << "no C compiler with static libraries";
  EXPECT_EQ(way_of(program).to_string(),
            "none: monitor is static: preload cannot work; run as root with -p, or link "
            "recorder/kvmtape.h");
}

TEST_F(WayTest, AStaticProgramThatMovesIsNotEither) {
  const std::string program = build("cc -static-pie");
  if (program.empty()) GTEST_SKIP() << "no C compiler with static libraries";
  EXPECT_THAT(way_of(program).why, HasSubstr("is static"));
}

TEST_F(WayTest, AMuslProgramIsToldFromAGlibcProgram) {
  const std::string program = build("musl-gcc");
  if (program.empty()) GTEST_SKIP() << "musl-gcc (musl-tools) is not installed";
  const Way way = way_of(program);
  EXPECT_EQ(way.kind, Way::Kind::kNone);
  EXPECT_THAT(way.why, HasSubstr("linked against musl"));
}

TEST_F(WayTest, AGoProgramIsToldByItsNoteThoughItIsDynamic) {
  // What cmd/link writes for its build id: name "Go\0\0", type 4.
  const std::string program = build("cc", R"(
    __asm__(".section .note.go.buildid,\"a\",@note\n.balign 4\n"
            ".long 4, 8, 4\n.ascii \"Go\\0\\0\"\n.ascii \"build-id\"\n.text\n");)");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  const Way way = way_of(program);
  EXPECT_EQ(way.kind, Way::Kind::kNone);
  EXPECT_THAT(way.why, HasSubstr("Go program"));
}

TEST_F(WayTest, WhatTheLoaderRunsSecurelyIsNotPreloaded) {
  const std::string program = build("cc");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  if (::chown(program.c_str(), 65534, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root can give a file away";
  ::chmod(program.c_str(), 04755);
  const Way way = way_of(program);
  EXPECT_EQ(way.kind, Way::Kind::kNone);
  EXPECT_THAT(way.why, HasSubstr("setuid"));
}

TEST_F(WayTest, FileCapabilitiesMakeALoaderSecureButForRoot) {
  const std::string program = build("cc");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  if (shell("setcap cap_net_raw+ep " + program + " 2>&1").status != 0)
    GTEST_SKIP() << "setcap (libcap2-bin) is not there or not permitted";
  EXPECT_EQ(way_of(program).kind, ::geteuid() == 0 ? Way::Kind::kPreload : Way::Kind::kNone);
  if (::geteuid() != 0 || ::chmod(directory_.file("").c_str(), 0755) != 0) return;
  ASSERT_EQ(::seteuid(65534), 0);
  const Way way = way_of(program);
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_THAT(way.why, HasSubstr("has capabilities"));
}

TEST_F(WayTest, AScriptIsJudgedByItsInterpreter) {
  const std::string program = build("cc -static");
  if (program.empty()) GTEST_SKIP() << "no C compiler with static libraries";
  EXPECT_EQ(way_of(script("#!/bin/sh -e")).kind, Way::Kind::kPreload);
  EXPECT_THAT(way_of(script("#! " + program)).why, HasSubstr("monitor is static"));
}

TEST_F(WayTest, AScriptOfItselfEnds) {
  const std::string path = directory_.file("script");
  EXPECT_THAT(way_of(script("#!" + path)).why, HasSubstr("without an end"));
}

TEST_F(WayTest, HalfAProgramIsNoProgram) {
  const std::string program = build("cc");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  for (const off_t bytes : {2, 20, 63, 100, 300}) {
    ASSERT_EQ(::truncate(program.c_str(), bytes), 0);
    EXPECT_EQ(way_of(program).kind, Way::Kind::kNone) << bytes << " bytes";
    build("cc");
  }
}

TEST_F(WayTest, AProgramOfAnotherMachineIsRefused) {
  const std::string program = build("cc");
  if (program.empty()) GTEST_SKIP() << "no C compiler";
  std::fstream file(program, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(18).put(8).put(0);  // e_machine: EM_MIPS
  file.close();
  EXPECT_THAT(way_of(program).why, HasSubstr("not a 64-bit program of this machine"));
}

}  // namespace
}  // namespace kvmtape
