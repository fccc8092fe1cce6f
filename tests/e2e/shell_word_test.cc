// Names as words of a shell: what the shell makes of them is the name.
#include "schema/base/shell_word.h"

#include <gtest/gtest.h>

#include "tests/support/shell.h"

namespace kvmtape::testing {
namespace {

TEST(ShellWord, APlainNameStandsAsItIs) {
  for (const char* name : {"vm.kvmtape", "/dev/shm/kvmtape-0/8-9", "a_b:c=d@e%f+g,h"})
    EXPECT_EQ(shell_path(name), name);
}

TEST(ShellWord, WhatAShellWouldTakeApartIsQuoted) {
  EXPECT_EQ(shell_path("my vm/x y.kvmtape"), "'my vm/x y.kvmtape'");
  EXPECT_EQ(shell_path("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(ShellWord, WhatBeginsAsAnOptionIsAFile) {
  EXPECT_EQ(shell_path("-rf.kvmtape"), "./-rf.kvmtape");
  EXPECT_EQ(shell_path("-r f"), "'./-r f'");
}

TEST(ShellWord, EveryByteComesBackFromAShell) {
  std::string name = "~$(false)`false`\"*?[a]{b,c}|&;<>()#!\\";
  for (int byte = 1; byte < 256; ++byte) name += static_cast<char>(byte);
  EXPECT_EQ(shell("printf %s " + shell_path(name)).out, name);
}

}  // namespace
}  // namespace kvmtape::testing
