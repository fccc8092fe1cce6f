// `probe --poison`: what KVM_RUN reads of the exit before stays, all else is 0xaa until the kernel
// writes it. The first half needs no KVM; the second is skipped without one.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "recorder/probe/completion.h"
#include "recorder/probe/probe.h"
#include "tests/support/walk_trace.h"

namespace kvmtape {
namespace {

using Ranges = std::vector<ByteRange>;

kvm_run run_of(uint32_t exit_reason) {
  kvm_run run = {};
  run.exit_reason = exit_reason;
  return run;
}

kvm_run run_of_mmio(uint32_t len, bool is_write) {
  kvm_run run = run_of(KVM_EXIT_MMIO);
  run.mmio.len = len;
  run.mmio.is_write = is_write;
  return run;
}

TEST(BytesReadToComplete, NothingIsReadOfAnExitThatIsOver) {
  for (const uint32_t reason :
       std::initializer_list<uint32_t>{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_SHUTDOWN, KVM_EXIT_DEBUG,
                                       KVM_EXIT_SYSTEM_EVENT, KVM_EXIT_ARM_NISV, KVM_EXIT_INTR})
    EXPECT_EQ(bytes_read_to_complete(run_of(reason)), Ranges()) << reason;
}

#if defined(__x86_64__)
TEST(BytesReadToComplete, OfAnMmioLoadTheBytesThatItWants) {
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(4, false)), (Ranges{{40, 44}}));
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(0xffffffff, false)), (Ranges{{40, 48}}));
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(4, true)), Ranges());
}

TEST(BytesReadToComplete, OfAHypercallItsResult) {
  EXPECT_EQ(bytes_read_to_complete(run_of(KVM_EXIT_HYPERCALL)), (Ranges{{88, 96}}));
  EXPECT_EQ(bytes_read_to_complete(run_of(KVM_EXIT_XEN)), (Ranges{{56, 64}}));
  kvm_run run = run_of(KVM_EXIT_HYPERV);
  run.hyperv.type = KVM_EXIT_HYPERV_HCALL;
  EXPECT_EQ(bytes_read_to_complete(run), (Ranges{{48, 56}}));
  run.hyperv.type = KVM_EXIT_HYPERV_SYNDBG;
  EXPECT_EQ(bytes_read_to_complete(run), (Ranges{{40, 44}, {56, 64}}));
  run.hyperv.type = KVM_EXIT_HYPERV_SYNIC;
  EXPECT_EQ(bytes_read_to_complete(run), Ranges());
}

TEST(BytesReadToComplete, OfAnMsrTheErrorAndWhatIsReadFromIt) {
  EXPECT_EQ(bytes_read_to_complete(run_of(KVM_EXIT_X86_RDMSR)), (Ranges{{32, 33}, {48, 56}}));
  EXPECT_EQ(bytes_read_to_complete(run_of(KVM_EXIT_X86_WRMSR)), (Ranges{{32, 33}}));
}

constexpr size_t kUnion = offsetof(kvm_run, hw);
constexpr size_t kUnionEnd = offsetof(kvm_run, kvm_valid_regs);

bool is_poison(std::span<const uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0xaa; });
}

struct Seen {
  uint32_t reason;
  std::vector<uint8_t> kvm_run;
  std::span<const uint8_t> from(size_t begin) const {
    return std::span(kvm_run).subspan(begin, std::min(kvm_run.size(), kUnionEnd) - begin);
  }
};

class PoisonedProbe : public ::testing::Test {
 protected:
  ~PoisonedProbe() override { std::filesystem::remove_all(folder_); }

  // The exits of one guest; none, and the test is skipped, where this machine has no KVM.
  std::vector<Seen> exits_of(const std::string& guest) {
    ProbeOptions options;
    options.path = (folder_ / (guest + ".kvmtape")).string();
    options.only = {guest};
    options.poison = true;
    options.guest_time_max = std::chrono::minutes(1);  // each of them ends by itself
    const Result<ProbeReport> report = run_probe(options);
    std::vector<Seen> seen;
    if (!report && report.error().code == ErrorCode::kRefused) return seen;
    EXPECT_TRUE(report) << report.error().to_string();
    const auto walked = testing::walk_trace(options.path, [&](const testing::WalkedItem& item) {
      if (!item.exit) return;
      seen.push_back({item.exit->reason, {item.exit->kvm_run.begin(), item.exit->kvm_run.end()}});
    });
    EXPECT_TRUE(walked) << walked.error().to_string();
    return seen;
  }

 private:
  static std::filesystem::path new_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "poison_test.XXXXXX").string();
    return mkdtemp(pattern.data());
  }
  const std::filesystem::path folder_ = new_folder();
};

TEST_F(PoisonedProbe, AHltBehindOtherExitsHoldsNothingOfThem) {
  for (const char* guest : {"io_out", "io_in", "mmio_write", "hlt"}) {
    const std::vector<Seen> exits = exits_of(guest);
    if (exits.empty()) GTEST_SKIP() << "no KVM";
    ASSERT_EQ(exits.back().reason, uint32_t{KVM_EXIT_HLT}) << guest;
    ASSERT_GT(exits.back().kvm_run.size(), kUnion);
    EXPECT_TRUE(is_poison(exits.back().from(kUnion))) << guest;
  }
}
#else
constexpr ByteRange kExitReason = {8, 12};

TEST(BytesReadToComplete, OfAnMmioTheReasonAndOfALoadItsAnswer) {
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(4, true)), Ranges{kExitReason});
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(2, false)),
            (Ranges{kExitReason, {40, 42}, {48, 52}, {52, 53}}));
  EXPECT_EQ(bytes_read_to_complete(run_of_mmio(0xffffffff, false)),
            (Ranges{kExitReason, {40, 48}, {48, 52}, {52, 53}}));
}

TEST(BytesReadToComplete, AHypercallIsAnsweredInRegisters) {
  EXPECT_EQ(bytes_read_to_complete(run_of(KVM_EXIT_HYPERCALL)), Ranges());
}
#endif

}  // namespace
}  // namespace kvmtape
