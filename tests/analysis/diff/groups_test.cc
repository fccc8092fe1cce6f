// What differs and says the same is told once: exits that only one recording has, by what they are
// and where.
#include <gmock/gmock.h>

#include "analysis/diff/diff.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class DiffGroups : public ::testing::Test {
 protected:
  // Of the exits that only A has: the key of each group and how many it holds.
  std::vector<std::pair<std::string, uint64_t>> only_in_a(SyntheticTrace a, SyntheticTrace b,
                                                          const DiffOptions& options = {}) {
    auto in_a = TraceReader::open(a.write_to(scratch_.file("a")));
    auto in_b = TraceReader::open(b.write_to(scratch_.file("b")));
    EXPECT_TRUE(in_a.ok() && in_b.ok());
    const auto found = compare(**in_a, **in_b, options);
    EXPECT_TRUE(found.ok());
    std::vector<std::pair<std::string, uint64_t>> keys;
    for (const ChangeGroup& group : found->groups)
      keys.emplace_back(group.first.a.key.empty() ? group.first.a.name : group.first.a.key,
                        group.count);
    return keys;
  }
  static SyntheticTrace empty() {
    SyntheticTrace trace;
    trace.intel().hlt(true);
    return trace;
  }
  ScratchDirectory scratch_;
};

TEST_F(DiffGroups, ExitsOfOnePlaceAreOne) {
  SyntheticTrace a = empty();
  for (uint8_t i = 0; i < 9; ++i) a.out(0x3f8, {i}).out(0x2f8, {1}).hlt(true);
  EXPECT_THAT(
      only_in_a(std::move(a), empty()),
      UnorderedElementsAre(Pair("port 0x3f8", 9), Pair("port 0x2f8", 9), Pair("KVM_EXIT_HLT", 9)));
}

TEST_F(DiffGroups, PlacesAreToldApartThoughTheirFieldIsNotCompared) {
  SyntheticTrace a = empty();
  a.out(0x3f8, {1}).out(0x2f8, {1}).out(0x3f8, {1});
  DiffOptions options;
  options.rules.ignored_fields = {"io.port"};
  EXPECT_THAT(only_in_a(std::move(a), empty(), options),
              UnorderedElementsAre(Pair("port 0x3f8", 2), Pair("port 0x2f8", 1)));
}

TEST_F(DiffGroups, AnAddressOfASlotThatWasMovedIsAnotherPlace) {
  SyntheticTrace a = empty(), b = empty();
  b.memory(0, 1 << 20);  // else slots would not be compared by
  for (const uint64_t address : {0x10000000u, 0x20000000u}) {
    std::vector<uint8_t> region(32);  // struct kvm_userspace_memory_region, of slot 0
    store_le(region.data() + 8, address);
    store_le(region.data() + 16, uint64_t{1} << 20);
    a.call(false, 0x4020ae46, region).mmio_write(address + 0x10, {1, 0, 0, 0});
  }
  EXPECT_THAT(only_in_a(std::move(a), std::move(b)),
              UnorderedElementsAre(Pair("mmio 0x10000010", 1), Pair("mmio 0x20000010", 1)));
}

}  // namespace
}  // namespace kvmtape::testing
