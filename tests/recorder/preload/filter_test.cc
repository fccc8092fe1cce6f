// The preload library's own run of seccomp programs against what each instruction must do.
#include "recorder/preload/filter.h"

#include <gtest/gtest.h>
#include <stddef.h>

#include <vector>

namespace kvmtape::preload {
namespace {

constexpr sock_filter kAllow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter kKill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
constexpr sock_filter kLoadNumber = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));

bool allows(std::vector<sock_filter> steps, int number, uint64_t second_argument = 0) {
  const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
  seccomp_data call{};
  call.nr = number;
  call.args[1] = second_argument;
  return filter_allows(program, call);
}

TEST(Filter, AnswersDecide) {
  EXPECT_TRUE(allows({kAllow}, 1));
  EXPECT_TRUE(allows({BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_LOG)}, 1));
  EXPECT_FALSE(allows({kKill}, 1));
  EXPECT_FALSE(allows({BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1)}, 1));
  EXPECT_FALSE(allows({BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)}, 1));
}

TEST(Filter, JumpsGoWhereTheyPoint) {
  for (const auto& [jump, below, same, above] :
       {std::tuple{BPF_JEQ, false, true, false}, std::tuple{BPF_JGT, false, false, true},
        std::tuple{BPF_JGE, false, true, true}}) {
    const std::vector<sock_filter> steps = {
        kLoadNumber, BPF_JUMP(static_cast<uint16_t>(BPF_JMP | jump | BPF_K), 16, 1, 0), kKill,
        kAllow};
    EXPECT_EQ(allows(steps, 15), below) << jump;
    EXPECT_EQ(allows(steps, 16), same) << jump;
    EXPECT_EQ(allows(steps, 17), above) << jump;
  }
  const std::vector<sock_filter> bits = {
      kLoadNumber, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x11, 0, 1), kAllow, kKill};
  EXPECT_TRUE(allows(bits, 0x10));
  EXPECT_FALSE(allows(bits, 0x22));
  EXPECT_TRUE(allows({BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), kKill, kAllow}, 1));
}

TEST(Filter, ArgumentsMemoryAndArithmeticAreSeen) {
  // (low half of the argument & 0xff) + 1 == number, by way of memory and X.
  const std::vector<sock_filter> steps = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
      BPF_STMT(BPF_ST, 3),
      BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 3),
      kLoadNumber,
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
      kAllow,
      kKill};
  EXPECT_TRUE(allows(steps, 0x81, 0xae80));
  EXPECT_FALSE(allows(steps, 0x80, 0xae80));
}

TEST(Filter, AProgramThatMakesNoSenseAllowsNothing) {
  EXPECT_FALSE(allows({}, 1));
  EXPECT_FALSE(allows({kLoadNumber}, 1));
  EXPECT_FALSE(allows({BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), kLoadNumber}, 1));
  EXPECT_FALSE(allows({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 61), kAllow}, 1));
  EXPECT_FALSE(allows({BPF_STMT(BPF_ST, BPF_MEMWORDS), kAllow}, 1));
  EXPECT_FALSE(allows({BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), kAllow}, 1));
}

}  // namespace
}  // namespace kvmtape::preload
