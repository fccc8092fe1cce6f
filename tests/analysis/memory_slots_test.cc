// Memory slots as control calls set them.
#include "analysis/memory_slots.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvmtape {
namespace {

constexpr uint32_t kSetRegion = 0x4020ae46, kCreateVm = 0xae01;
constexpr uint32_t kReadOnly = 2;

class MemorySlotsTest : public ::testing::Test {
 protected:
  MemorySlots& set(uint32_t number, uint64_t guest, uint64_t bytes, uint32_t flags = 0,
                   uint32_t error = 0) {
    region_.assign(32, 0);
    store_le<uint32_t>(&region_[0], number);
    store_le<uint32_t>(&region_[4], flags);
    store_le<uint64_t>(&region_[8], guest);
    store_le<uint64_t>(&region_[16], bytes);
    return call(DescriptorKind::kVm, kSetRegion, error, region_);
  }
  MemorySlots& call(DescriptorKind descriptor, uint32_t request, uint32_t error,
                    std::span<const uint8_t> in) {
    ControlCall made;
    made.descriptor = descriptor;
    made.request = request;
    made.result = error == 0 ? 0 : -1;
    made.error = error;
    made.in = in;
    slots.note(made);
    return slots;
  }
  // Slot and offset; -1: no memory there.
  std::pair<int64_t, uint64_t> place(uint64_t address) const {
    const MemorySlots::Slot* slot = slots.find(address);
    if (slot == nullptr) return {-1, 0};
    return {slot->number, address - slot->guest_physical};
  }
  using Place = std::pair<int64_t, uint64_t>;
  static constexpr Place kNone{-1, 0};

  std::vector<uint8_t> region_;
  MemorySlots slots;
};

TEST_F(MemorySlotsTest, OnlyACallThatSetsOneIsAnotherVersion) {
  const uint64_t before = set(0, 0x1000, 0x1000).version();
  constexpr uint32_t kInterrupt = 0x4004ae86;
  EXPECT_EQ(call(DescriptorKind::kVcpu, kInterrupt, 0, {}).version(), before);
  EXPECT_EQ(set(1, 0x4000, 0x1000, 0, /*error=*/22).version(), before);
  EXPECT_NE(set(1, 0x4000, 0x1000).version(), before);
  const uint64_t last = slots.version();
  EXPECT_GT(call(DescriptorKind::kSystem, kCreateVm, 0, {}).version(), last);
}

TEST_F(MemorySlotsTest, AnAddressIsInTheSlotThatHoldsIt) {
  EXPECT_FALSE(slots.known());
  EXPECT_FALSE(slots.is_outside(0xfff));
  set(3, 0x1000, 0x2000);
  EXPECT_TRUE(slots.is_outside(0xfff));
  EXPECT_EQ(place(0xfff), kNone);
  EXPECT_EQ(place(0x1000), Place(3, 0));
  EXPECT_EQ(place(0x2fff), Place(3, 0x1fff));
  EXPECT_EQ(place(0x3000), kNone);
}

TEST_F(MemorySlotsTest, ASlotMovesAndGoes) {
  set(3, 0x1000, 0x2000);
  set(3, 0x8000, 0x2000);
  EXPECT_EQ(place(0x1000), kNone);
  EXPECT_EQ(place(0x8010), Place(3, 0x10));
  set(3, 0x8000, 0);
  EXPECT_EQ(place(0x8010), kNone);
  EXPECT_EQ(slots.count(), 0u);
}

TEST_F(MemorySlotsTest, RemovedMemoryIsKnownUntilItIsBack) {
  set(3, 0x1000, 0x2000);
  EXPECT_EQ(slots.removed(0x1000), nullptr);
  set(3, 0, 0);
  ASSERT_NE(slots.removed(0x2fff), nullptr);
  EXPECT_EQ(slots.removed(0x3000), nullptr);
  set(4, 0x1000, 0x1000);
  EXPECT_EQ(slots.removed(0x1000), nullptr);
  EXPECT_NE(slots.removed(0x2000), nullptr);
}

TEST_F(MemorySlotsTest, TheFirstAddressSpaceComesBeforeTheSecond) {
  constexpr uint32_t kSecond = 1 << 16;
  set(kSecond, 0xa0000, 0x20000);
  EXPECT_EQ(place(0xa0000), Place(kSecond, 0));
  set(1, 0x0, 0x100000, kReadOnly);
  EXPECT_EQ(place(0xa0000), Place(1, 0xa0000));
  EXPECT_TRUE(slots.find(0xa0000)->read_only);
}

TEST_F(MemorySlotsTest, RefusedAndTornCallsChangeNothing) {
  constexpr uint32_t kInvalid = 22;
  set(3, 0x1000, 0x2000, 0, kInvalid);
  EXPECT_EQ(place(0x1000), kNone);
  set(3, 0x1000, 0x2000);
  call(DescriptorKind::kVm, kSetRegion, 0, std::span(region_).first(20));
  EXPECT_EQ(place(0x1000), Place(3, 0));
}

TEST_F(MemorySlotsTest, ANewVmHasNone) {
  set(3, 0x1000, 0x2000);
  call(DescriptorKind::kSystem, kCreateVm, 0, {});
  EXPECT_FALSE(slots.known());
}

TEST_F(MemorySlotsTest, TwoSlotsAtOnePlaceMakeItAllUnknown) {
  set(3, 0x1000, 0x2000);
  set(4, 0x1000, 0x1000);
  EXPECT_FALSE(slots.known());
  EXPECT_FALSE(slots.is_outside(0x9000));
}

}  // namespace
}  // namespace kvmtape
