// Memory slots as control calls set them.
#include "analysis/diff/slot_offsets.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvmtape {
namespace {

using Relative = std::pair<uint64_t, uint64_t>;

std::vector<uint8_t> set_region(uint32_t slot, uint64_t guest, uint64_t bytes,
                                uint32_t result = 0) {
  constexpr size_t kRecord = 40, kRegion = 32;
  std::vector<uint8_t> payload(kRecord + kRegion);
  store_le<uint32_t>(&payload[4], 0x4020ae46);
  store_le<uint32_t>(&payload[20], result);
  store_le<uint32_t>(&payload[28], kRegion);
  store_le<uint32_t>(&payload[kRecord], slot);
  store_le<uint64_t>(&payload[kRecord + 8], guest);
  store_le<uint64_t>(&payload[kRecord + 16], bytes);
  return payload;
}

TEST(SlotOffsetsTest, AnAddressInASlotIsToldByItsOffset) {
  SlotOffsets slots(ByteOrder::kLittle);
  slots.note_call(set_region(3, 0x1000, 0x2000));
  EXPECT_EQ(slots.relative(0xfff), Relative(0, 0xfff));
  EXPECT_EQ(slots.relative(0x1000), Relative(4, 0));
  EXPECT_EQ(slots.relative(0x2fff), Relative(4, 0x1fff));
  EXPECT_EQ(slots.relative(0x3000), Relative(0, 0x3000));
}

TEST(SlotOffsetsTest, ASlotMovesAndGoes) {
  SlotOffsets slots(ByteOrder::kLittle);
  slots.note_call(set_region(3, 0x1000, 0x2000));
  slots.note_call(set_region(3, 0x8000, 0x2000));
  EXPECT_EQ(slots.relative(0x1000), Relative(0, 0x1000));
  EXPECT_EQ(slots.relative(0x8010), Relative(4, 0x10));
  slots.note_call(set_region(3, 0x8000, 0));
  EXPECT_EQ(slots.relative(0x8010), Relative(0, 0x8010));
}

TEST(SlotOffsetsTest, RefusedAndTornCallsChangeNothing) {
  SlotOffsets slots(ByteOrder::kLittle);
  slots.note_call(set_region(3, 0x1000, 0x2000, ~uint32_t{0}));
  std::vector<uint8_t> torn = set_region(3, 0x1000, 0x2000);
  torn.resize(50);
  slots.note_call(torn);
  EXPECT_EQ(slots.relative(0x1000), Relative(0, 0x1000));
}

}  // namespace
}  // namespace kvmtape
