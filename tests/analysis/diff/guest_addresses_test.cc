// Two boots of one kernel, which KASLR put elsewhere: addresses of its code are compared by symbol.
#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kIdle = 0xffffffff81000100, kPanic = 0xffffffff81000400;
constexpr uint64_t kMovedBy = 0x1a000000;
constexpr uint64_t kModuleA = 0xffffffffc0100000, kModuleB = 0xffffffffc07a5000;

class GuestAddressesTest : public ::testing::Test {
 protected:
  // As /proc/kallsyms tells them.
  Symbols kallsyms(uint64_t moved, uint64_t module) {
    const auto line = [](uint64_t address, const std::string& rest) {
      char text[128];
      std::snprintf(text, sizeof text, "%016llx %s\n", static_cast<unsigned long long>(address),
                    rest.c_str());
      return std::string(text);
    };
    const std::string text = line(kIdle + moved, "t do_idle") + line(kPanic + moved, "T panic") +
                             line(module, "t vcpu_enter\t[kvm]");
    const std::string path = scratch_.file("kallsyms");
    write_file(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    auto symbols = Symbols::load(path);
    EXPECT_TRUE(symbols.ok());
    return std::move(*symbols);
  }
  // A breakpoint, and registers with it.
  static SyntheticTrace boot(uint64_t pc, uint64_t rip) {
    SyntheticTrace trace;
    trace.intel().debug_x86(3, pc, 0xffff0ff0, 0x400).regs(long_mode(rip)).console("up");
    return trace;
  }
  Diff diff(SyntheticTrace a, SyntheticTrace b, const DiffOptions& options) {
    auto in_a = TraceReader::open(a.write_to(scratch_.file("a")));
    auto in_b = TraceReader::open(b.write_to(scratch_.file("b")));
    EXPECT_TRUE(in_a.ok() && in_b.ok());
    auto found = compare(**in_a, **in_b, options);
    EXPECT_TRUE(found.ok());
    return std::move(*found);
  }
  DiffOptions with_symbols() const {
    DiffOptions options;
    options.symbols_a = &symbols_a_;
    options.symbols_b = &symbols_b_;
    return options;
  }
  // "name a|b", each with its symbol.
  static std::vector<std::string> lines(const Diff& diff) {
    std::vector<std::string> lines;
    for (const ExitChange& change : diff.changes)
      for (const FieldChange& field : change.fields)
        lines.push_back(field.name + " " + field.a.value_name + "|" + field.b.value_name);
    return lines;
  }

  ScratchDirectory scratch_;
  const Symbols symbols_a_ = kallsyms(0, kModuleA), symbols_b_ = kallsyms(kMovedBy, kModuleB);
};

TEST_F(GuestAddressesTest, AKernelThatWasMovedIsTheSame) {
  const Diff found = diff(boot(kIdle + 2, kPanic + 8),
                          boot(kIdle + kMovedBy + 2, kPanic + kMovedBy + 8), with_symbols());
  EXPECT_THAT(lines(found), IsEmpty());
  EXPECT_EQ(found.totals.differences(), 0u);
  EXPECT_EQ(found.totals.same, 3u);
}

TEST_F(GuestAddressesTest, AModuleThatWasLoadedElsewhereIsTheSame) {
  const Diff found =
      diff(boot(kModuleA + 0x40, kModuleA), boot(kModuleB + 0x40, kModuleB), with_symbols());
  EXPECT_EQ(found.totals.differences(), 0u);
}

TEST_F(GuestAddressesTest, AnotherPlaceIsAChangeAndHasItsName) {
  const Diff found =
      diff(boot(kIdle, kIdle + 2), boot(kIdle + kMovedBy, kModuleB + 2), with_symbols());
  EXPECT_THAT(lines(found), ElementsAre("kvm_regs.rip do_idle+0x2|vcpu_enter+0x2 [kvm]"));
}

TEST_F(GuestAddressesTest, ATableAsLinkedIsMovedByItsOffset) {
  Symbols moved = kallsyms(0, kModuleA);
  moved.set_offset(kMovedBy);
  DiffOptions options = with_symbols();
  options.symbols_b = &moved;
  EXPECT_EQ(diff(boot(kIdle + 2, kPanic), boot(kIdle + kMovedBy + 2, kPanic + kMovedBy), options)
                .totals.differences(),
            0u);
  EXPECT_GT(diff(boot(kIdle, 0), boot(kIdle, 0), options).totals.differences(), 0u);
}

TEST_F(GuestAddressesTest, SoAreAddressesOfArm64Guests) {
  const auto boot = [](uint64_t pc, uint64_t far) {
    SyntheticTrace trace;
    trace.arm64("7.3.0").sea(0x92000010, far, 0x40000000);
    trace.one_regs({{0x6030000000100040, pc}, {0x603000000013c510, 1}});  // PC and MAIR_EL1
    return trace;
  };
  EXPECT_EQ(diff(boot(kIdle, kPanic), boot(kIdle + kMovedBy, kPanic + kMovedBy), with_symbols())
                .totals.differences(),
            0u);
  EXPECT_THAT(
      lines(diff(boot(kIdle, kPanic), boot(kPanic + kMovedBy, kIdle + kMovedBy), with_symbols())),
      ElementsAre("arm_sea.gva panic|do_idle", "kvm_one_reg.PC do_idle|panic"));
}

TEST_F(GuestAddressesTest, WithoutSymbolsAnAddressIsANumber) {
  const auto moved = [&](const DiffOptions& options) {
    return diff(boot(kIdle, kIdle), boot(kIdle + kMovedBy, kIdle + kMovedBy), options);
  };
  EXPECT_GT(moved({}).totals.differences(), 0u);
  DiffOptions as_they_are = with_symbols();
  as_they_are.rules.addresses = true;
  EXPECT_GT(moved(as_they_are).totals.differences(), 0u);
}

TEST_F(GuestAddressesTest, TheSameNumberElsewhereIsAnotherPlace) {
  const Diff found = diff(boot(kIdle + kMovedBy, 0), boot(kIdle + kMovedBy, 0), with_symbols());
  EXPECT_EQ(found.totals.differences(), 1u) << "a symbol on one side, none on the other";
}

TEST_F(GuestAddressesTest, SymbolsOfOneGuestAloneAreAMistake) {
  DiffOptions options;
  options.symbols_a = &symbols_a_;
  auto in_a = TraceReader::open(boot(kIdle, kIdle).write_to(scratch_.file("a")));
  auto in_b = TraceReader::open(boot(kIdle, kIdle).write_to(scratch_.file("b")));
  const auto found = compare(**in_a, **in_b, options);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace kvmtape::testing
