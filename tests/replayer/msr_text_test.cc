// What is said of an MSR access depends on the answer: one that was refused got no value.
#include <gtest/gtest.h>

#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;

constexpr uint32_t kRdmsr = 29, kWrmsr = 30;

// struct kvm_run, msr: error, reason, index, data.
KvmRunPage msr_access(uint32_t reason, uint8_t error) {
  KvmRunPage page(context_of(Architecture::kX86_64, "6.12.117"));
  page.reason(reason).in_union(0, error).in_union(8, uint32_t{4}).in_union(12, uint32_t{0x10b});
  return page.in_union(16, uint64_t{0x1});
}

TEST(MsrText, OfAReadIsTheValueThatTheAnswerHolds) {
  KvmRunPage page = msr_access(kRdmsr, 0);
  EXPECT_EQ(page.text(), "RDMSR MSR_IA32_FLUSH_CMD, KVM_MSR_EXIT_REASON_FILTER");
  page.answer();
  EXPECT_EQ(page.text(), "RDMSR MSR_IA32_FLUSH_CMD = 0x1, KVM_MSR_EXIT_REASON_FILTER");
}

TEST(MsrText, OfARefusedAccessSaysSoAndShowsNoValueThatWasRead) {
  KvmRunPage read = msr_access(kRdmsr, 1), write = msr_access(kWrmsr, 1);
  read.answer();
  write.answer();
  EXPECT_EQ(read.text(), "RDMSR MSR_IA32_FLUSH_CMD refused with #GP, KVM_MSR_EXIT_REASON_FILTER");
  EXPECT_EQ(write.text(),
            "WRMSR MSR_IA32_FLUSH_CMD 0x1 refused with #GP, KVM_MSR_EXIT_REASON_FILTER");
}

TEST(MsrText, OfAnAnswerThatWasNotRecordedRefusesNothing) {
  EXPECT_EQ(msr_access(kWrmsr, 1).text(),
            "WRMSR MSR_IA32_FLUSH_CMD 0x1, KVM_MSR_EXIT_REASON_FILTER");
}

}  // namespace
}  // namespace kvmtape
