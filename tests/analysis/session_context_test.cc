#include "analysis/session_context.h"

#include <gtest/gtest.h>

namespace kvmtape {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

X86Virtualization host_of(Facts facts) {
  Session session;
  session.cpu_facts = std::move(facts);
  return decode_context_of(session).x86_virtualization;
}

TEST(SessionContext, TheModuleThatRanSaysWhoseNumbersKvmHandsOn) {
  EXPECT_EQ(host_of({{"vendor_id", "GenuineIntel"}}), X86Virtualization::kVmx);
  EXPECT_EQ(host_of({{"vendor_id", "AuthenticAMD"}}), X86Virtualization::kSvm);
  EXPECT_EQ(
      host_of({{"vendor_id", "AuthenticAMD"}, {"kvm.ignore_msrs", "N"}, {"kvm_amd.avic", "N"}}),
      X86Virtualization::kSvm);
  EXPECT_EQ(host_of({{"kvm_intel.nested", "Y"}}), X86Virtualization::kVmx);
}

TEST(SessionContext, AModuleFromOutsideTheTreeHasNumbersOfItsOwn) {
  EXPECT_EQ(host_of({{"vendor_id", "AuthenticAMD"}, {"kvm.ignore_msrs", "N"}}),
            X86Virtualization::kUnknown);
  EXPECT_EQ(host_of({}), X86Virtualization::kUnknown);
}

}  // namespace
}  // namespace kvmtape
