// What is told of a field that changed: of a set of flags, which bits are set on either side.
#include <gmock/gmock.h>

#include <cerrno>
#include <string>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

class FieldChangesTest : public ::testing::Test {
 protected:
  // The field of this name, between recordings of one exit each.
  FieldChange changed(const std::string& name, const SyntheticTrace& a, const SyntheticTrace& b) {
    const auto opened = [&](SyntheticTrace trace, const char* file) {
      auto reader = TraceReader::open(trace.write_to(scratch_.file(file)));
      EXPECT_TRUE(reader.ok());
      return std::move(*reader);
    };
    const auto diff = compare(*opened(a, "a"), *opened(b, "b"), {});
    EXPECT_TRUE(diff.ok() && diff->changes.size() == 1);
    if (diff.ok())
      for (const ExitChange& change : diff->changes)
        for (const FieldChange& field : change.fields)
          if (field.name == name) return field;
    ADD_FAILURE() << name << " is no difference";
    return {};
  }

  ScratchDirectory scratch_;
};

SyntheticTrace halt(uint8_t flags) {
  constexpr size_t kReason = 8, kFlags = 14;
  TraceBuilder::GivenExit exit;
  exit.run.resize(kCoreWords * kWordBytes);
  exit.run[kReason] = 5;  // KVM_EXIT_HLT
  exit.run[kFlags] = flags;
  exit.tsc = exit.answer_tsc = 2'000'000;
  exit.answer_run = exit.run;
  SyntheticTrace trace;
  trace.builder().add_exit(0, exit);
  return trace;
}

TEST_F(FieldChangesTest, ABitThatIsNoLongerSetIsNamed) {
  const auto brk = [](uint16_t flags) {
    return SyntheticTrace().arm64().debug_arm(0xf2000000, 0, flags);
  };
  const FieldChange flags = changed("flags", brk(1), brk(0));
  EXPECT_EQ(flags.a.text, "0x1");
  EXPECT_EQ(flags.a.value_name, "KVM_DEBUG_ARCH_HSR_HIGH_VALID");
  EXPECT_EQ(flags.b.text, "0x0");
  EXPECT_EQ(flags.b.value_name, "");
}

TEST_F(FieldChangesTest, OfSeveralBitsEachIsNamed) {
  const FieldChange flags = changed("flags", halt(1), halt(3));
  EXPECT_EQ(flags.a.value_name, "KVM_RUN_X86_SMM");
  EXPECT_EQ(flags.b.value_name, "KVM_RUN_X86_SMM|KVM_RUN_X86_BUS_LOCK");
}

TEST_F(FieldChangesTest, BitsOfAnExitsOwnFlagsAreNamedAndTheRestIsANumber) {
  const auto fault = [](uint64_t flags) {
    return SyntheticTrace().memory_fault(flags, 0x1000, 0x1000, EFAULT);
  };
  const FieldChange flags = changed("memory_fault.flags", fault(8), fault(0x18));
  EXPECT_EQ(flags.a.value_name, "KVM_MEMORY_EXIT_FLAG_PRIVATE");
  EXPECT_EQ(flags.b.value_name, "KVM_MEMORY_EXIT_FLAG_PRIVATE|0x10");
}

}  // namespace
}  // namespace kvmtape::testing
