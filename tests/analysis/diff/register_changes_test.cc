// Registers that were taken with an exit are compared where both recordings have them.
#include <gmock/gmock.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "analysis/diff/diff.h"
#include "tests/support/arm64_registers.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RegisterChangesTest : public ::testing::Test {
 protected:
  Diff diff(SyntheticTrace a, SyntheticTrace b, const DiffRules& rules = {}) {
    const auto opened = [&](SyntheticTrace& trace, const char* file) {
      auto reader = TraceReader::open(trace.write_to(scratch_.file(file)));
      EXPECT_TRUE(reader.ok());
      return std::move(*reader);
    };
    DiffOptions options;
    options.rules = rules;
    auto result = compare(*opened(a, "a"), *opened(b, "b"), options);
    EXPECT_TRUE(result.ok());
    return std::move(*result);
  }
  // "name a|b [id]" of each field that changed.
  static std::vector<std::string> lines(const Diff& diff) {
    const auto text = [](const FieldSide& side) {
      return side.validity == Validity::kValid ? side.text : "(" + side.why + ")";
    };
    std::vector<std::string> lines;
    for (const ExitChange& change : diff.changes)
      for (const FieldChange& field : change.fields) {
        lines.push_back(field.name + " " + text(field.a) + "|" + text(field.b));
        for (const auto& row : field.explained_by)
          lines.back() += " [" + std::string(row.change->id) + "]";
      }
    return lines;
  }
  static SyntheticTrace brk(const char* kernel) {
    SyntheticTrace trace;
    trace.arm64(kernel).debug_arm(0xf2000000, 0, 0);
    return trace;
  }

  ScratchDirectory scratch_;
};

TEST_F(RegisterChangesTest, AnotherValueIsAChange) {
  const Diff found = diff(brk("6.12.0").one_regs({{kMdscr, 0x2000}, {kEsrEl1, 7}}),
                          brk("6.12.0").one_regs({{kMdscr, 0x8000}, {kEsrEl1, 7}}));
  EXPECT_THAT(lines(found), ElementsAre("kvm_one_reg.MDSCR_EL1 0x2000|0x8000"));
  EXPECT_EQ(found.totals.changed, 1u);
}

TEST_F(RegisterChangesTest, EqualOnesInAnotherOrderAndInTwoRecordsAreNone) {
  const Diff found = diff(brk("6.12.0").one_regs({{kMdscr, 1}, {kEsrEl1, 7}}),
                          brk("6.12.0").one_regs({{kEsrEl1, 7}}).one_regs({{kMdscr, 1}}));
  EXPECT_THAT(lines(found), IsEmpty());
  EXPECT_EQ(found.totals.same, 1u);
}

TEST_F(RegisterChangesTest, WhatOnlyOneRecorderTookIsNone) {
  const Diff found = diff(brk("6.12.0").one_regs({{kMdscr, 1}}), brk("6.12.0"));
  EXPECT_EQ(found.totals.differences(), 0u);
  const Diff not_taken =
      diff(brk("6.12.0").one_regs({{kMdscr, 1}}), brk("6.12.0").registers_not_taken());
  EXPECT_EQ(not_taken.totals.differences(), 0u);
}

// One of them may be of a recorder that asked for fewer, or left out what was refused.
TEST_F(RegisterChangesTest, ARegisterThatOnlyOneHasIsToldWhereARowIsAboutIt) {
  const Diff found = diff(brk("6.12.0").one_regs({{kMdscr, 1}, {kEsrEl1, 7}}),
                          brk("6.12.0").one_regs({{kMdscr, 1}}));
  EXPECT_EQ(found.totals.same, 1u);
  const Diff lock = diff(brk("5.10.0").one_regs({{kMdscr, 0}}),
                         brk("6.1.0").one_regs({{kMdscr, 0}, {kOslsr, 8}}));
  EXPECT_THAT(lines(lock), Contains("kvm_one_reg.OSLSR_EL1 (not in the recording)|0x8 "
                                    "[arm64-os-lock] [arm64-oslsr-register]"));
}

// Which interrupt was pending differs from run to run.
TEST_F(RegisterChangesTest, InterruptsAreComparedWhenAsked) {
  const auto x86 = [](uint8_t nr) {
    std::vector<uint8_t> events(64);
    events[8] = 1, events[9] = nr;  // interrupt.injected, interrupt.nr
    SyntheticTrace trace;
    trace.debug_x86(1, 0x1000, 1, 0).events(events);
    return trace;
  };
  EXPECT_EQ(diff(x86(0x20), x86(0x30)).totals.same, 1u);
  EXPECT_THAT(lines(diff(x86(0x20), x86(0x30), {.interrupts = true})),
              ElementsAre("kvm_vcpu_events.interrupt.nr 0x20|0x30"));
}

// Of a recording that was made for it: quadratic work would take minutes.
TEST_F(RegisterChangesTest, AHundredThousandRegistersOfOneExitAreNotTooMany) {
  constexpr uint64_t kParts = kSanitized ? 3 : 25;  // a sanitizer takes its time with them
  const auto many = [&](uint64_t value) {
    std::vector<std::pair<uint64_t, uint64_t>> pairs;
    for (uint64_t id = 0; id < 4000; ++id) pairs.emplace_back(id, value);
    SyntheticTrace trace = brk("6.12.0");
    for (uint64_t part = 0; part < kParts; ++part) {
      for (auto& pair : pairs) pair.first += pairs.size();
      trace.one_regs(pairs);
    }
    return trace;
  };
  EXPECT_EQ(diff(many(1), many(2)).changes.front().fields.size(), kParts * 4000);
}

TEST_F(RegisterChangesTest, ARefusedRegisterIsSaidToBeAndItsRowExplainsIt) {
  const Diff found = diff(brk("5.10.0").one_regs({{kMdscr, 0}}).one_regs_refused({kOslsr}, ENOENT),
                          brk("6.1.0").one_regs({{kMdscr, 0}, {kOslsr, 8}}));
  EXPECT_THAT(lines(found), Contains("kvm_one_reg.OSLSR_EL1 (the kernel refused it: ENOENT)|0x8 "
                                     "[arm64-os-lock] [arm64-oslsr-register]"));
  EXPECT_EQ(found.totals.unexplained(), 0u);
}

TEST_F(RegisterChangesTest, RulesLeaveOutOneOrAll) {
  const auto totals = [&](const DiffRules& rules) {
    return diff(brk("6.12.0").one_regs({{kMdscr, 0x2000}}),
                brk("6.12.0").one_regs({{kMdscr, 0x8000}}), rules)
        .totals;
  };
  EXPECT_EQ(totals({.ignored_fields = {"kvm_one_reg.MDSCR_EL1"}}).same, 1u);
  EXPECT_EQ(totals({.registers = false}).same, 1u);
  EXPECT_EQ(totals({.ignored_fields = {"kvm_one_reg.ESR_EL1"}}).changed, 1u);
}

TEST_F(RegisterChangesTest, FieldsAndRegistersOfOneExitAreOneChange) {
  const auto x86 = [](uint64_t dr6, uint64_t rip) {
    SyntheticTrace trace;
    trace.debug_x86(1, 0x1000, dr6, 0).regs({{"rip", rip}});
    return trace;
  };
  const Diff found = diff(x86(0x4000, 0x1000), x86(1, 0x1002));
  EXPECT_EQ(found.totals.changed, 1u);
  EXPECT_THAT(lines(found), ElementsAre("debug.arch.dr6 0x4000|0x1", "kvm_regs.rip 0x1000|0x1002"));
}

// The walk reads ahead for the registers: the exits behind must still be seen, and as they are.
TEST_F(RegisterChangesTest, ExitsBehindRegistersAreComparedAsEver) {
  const auto three = [](uint64_t last) {
    SyntheticTrace trace;
    trace.debug_x86(1, 0x1000, 1, 0).regs({{"rip", 0x1000}});
    trace.debug_x86(1, 0x2000, 1, 0).regs({{"rip", 0x2000}}).debug_x86(1, last, 1, 0);
    return trace;
  };
  const Diff found = diff(three(0x3000), three(0x3001));
  EXPECT_EQ(found.totals.same, 2u);
  EXPECT_THAT(lines(found), ElementsAre("debug.arch.pc 0x3000|0x3001"));
}

}  // namespace
}  // namespace kvmtape::testing
