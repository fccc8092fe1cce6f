// Guest memory at crash exits, with this process for a monitor and a few pages for a guest: page
// tables of every kind, regions that do not hold together, and where slices stand in a trace.
#include "recorder/drain/crash_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "recorder/drain/x86_paging.h"
#include "recorder/ring/clock.h"
#include "recorder/ring/control_call.h"
#include "schema/process_start.h"
#include "tests/support/ring_recording.h"

namespace kvmtape::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

constexpr uint64_t kPe = 1, kPg = uint64_t{1} << 31;
constexpr uint64_t kPae = 1 << 5, kPse = 1 << 4, kLa57 = 1 << 12, kLma = 1 << 10;
constexpr uint64_t kHere = 1, kLarge = 1 << 7;

// Page-table entries and nothing else.
class Tables final : public GuestPhysicalReader {
 public:
  Tables& put(uint64_t address, uint64_t entry) {
    entries_[address] = entry;
    return *this;
  }
  size_t read(uint64_t address, std::span<uint8_t> bytes) override {
    ++reads;
    const auto found = entries_.find(address);
    if (found == entries_.end()) return 0;
    std::memcpy(bytes.data(), &found->second, bytes.size());
    return bytes.size();
  }
  int reads = 0;

 private:
  std::map<uint64_t, uint64_t> entries_;
};

X86State state(uint64_t cr0, uint64_t cr4, uint64_t efer, uint64_t cr3) {
  X86State state;
  state.cr0 = cr0;
  state.cr4 = cr4;
  state.efer = efer;
  state.cr3 = cr3;
  return state;
}

TEST(X86Paging, WithoutPagingAnAddressIsItself) {
  Tables none;
  EXPECT_THAT(x86_translate(state(kPe, 0, 0, 0), 0x1'2345'6789, none), Optional(0x2345'6789u));
  EXPECT_EQ(none.reads, 0);
}

TEST(X86Paging, TwoLevelsOf32BitsAndTheirLargePages) {
  Tables tables;  // linear 0x00c01234: entry 3, then entry 1; linear 0x01400000: entry 5
  tables.put(0x1000 + 3 * 4, 0x2000 | kHere).put(0x2000 + 4, 0x7000 | kHere);
  tables.put(0x1000 + 5 * 4, 0x0040'0000 | 0x2000 | kLarge | kHere);  // bit 13 is bit 32
  const X86State here = state(kPe | kPg, kPse, 0, 0x1018);
  EXPECT_THAT(x86_translate(here, 0xc01234, tables), Optional(0x7234u));
  EXPECT_THAT(x86_translate(here, 0x1400567, tables), Optional(0x1'0040'0567u));
  EXPECT_EQ(x86_translate(here, 0xc02234, tables), std::nullopt);
  EXPECT_EQ(x86_translate(here, 0x1800000, tables), std::nullopt);
}

TEST(X86Paging, PaeBeginsWithFourEntriesOn32Bytes) {
  Tables tables;  // linear 0xc0203004: entry 3, entry 1, entry 3
  tables.put(0x1020 + 3 * 8, 0x2000 | kHere).put(0x2000 + 8, 0x3000 | kHere);
  tables.put(0x3000 + 3 * 8, uint64_t{1} << 63 | 0xf'0000'5000 | kHere);
  tables.put(0x2000 + 2 * 8, 0x4020'0000 | kLarge | kHere);
  const X86State here = state(kPe | kPg, kPae, 0, 0x1020);
  EXPECT_THAT(x86_translate(here, 0xc0203004, tables), Optional(0xf'0000'5004u));
  EXPECT_THAT(x86_translate(here, 0xc0412345, tables), Optional(0x4021'2345u));
  EXPECT_EQ(x86_translate(here, 0x203004, tables), std::nullopt);
}

class LongMode : public ::testing::TestWithParam<int> {
 protected:
  // Every level's table one page behind the one above, indexes 256, [...], 1, 2, 3 of `linear`.
  static constexpr uint64_t kTop = 0x10'0000;
  uint64_t put_levels(int down_to, uint64_t last) {
    const int levels = GetParam();
    uint64_t linear = 0, table = kTop;
    for (int level = levels; level >= down_to; --level, table += 0x1000) {
      const uint64_t index = level == levels ? 256 : 4 - static_cast<uint64_t>(level);
      linear |= index << (12 + 9 * (level - 1));
      tables.put(table + index * 8, level == down_to ? last : (table + 0x1000) | kHere);
    }
    if (levels == 4) return linear | 0xffff'0000'0000'0000;
    return linear | 0xfe00'0000'0000'0000;
  }
  X86State here = state(kPe | kPg, kPae | (GetParam() == 5 ? kLa57 : 0), kLma, kTop | 0x18);
  Tables tables;
};

TEST_P(LongMode, APageIsFoundAfterAsManyReadsAsThereAreLevels) {
  const uint64_t linear = put_levels(1, uint64_t{1} << 63 | 0xabc000 | kLarge | kHere);
  EXPECT_THAT(x86_translate(here, linear + 0x123, tables), Optional(0xabc123u));
  EXPECT_EQ(tables.reads, GetParam());
  EXPECT_EQ(x86_translate(here, linear + 0x1000, tables), std::nullopt);
}

TEST_P(LongMode, LargePagesOf2MAnd1GEndTheWalk) {
  const uint64_t two = put_levels(2, 0x4000'0000 | kLarge | kHere);
  EXPECT_THAT(x86_translate(here, two + 0x12345, tables), Optional(0x4001'2345u));
  const uint64_t one = put_levels(3, 0x8000'0000 | kLarge | kHere);
  EXPECT_THAT(x86_translate(here, one + 0x123'4567, tables), Optional(0x8123'4567u));
}

TEST_P(LongMode, WhatIsNotCanonicalOrNotPresentIsNowhere) {
  const uint64_t linear = put_levels(1, 0xabc000);
  EXPECT_EQ(x86_translate(here, linear, tables), std::nullopt);
  put_levels(1, 0xabc000 | kHere);
  EXPECT_EQ(x86_translate(here, linear & ~(uint64_t{1} << 63), tables), std::nullopt);
}
INSTANTIATE_TEST_SUITE_P(Levels, LongMode, ::testing::Values(4, 5));

#if defined(__x86_64__)
template <typename Struct>
std::span<const uint8_t> bytes_of(const Struct& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

TEST(X86State, IsWhatTheKernelsStructsSay) {
  kvm_regs regs{};
  kvm_sregs sregs{};
  regs.rip = 0x1'0000'1234;
  regs.rsp = 0x2'0001'5678;
  sregs.cs.base = 0x10000;
  sregs.ss.base = 0x20000;
  sregs.cr0 = 1;
  sregs.cr3 = 2;
  sregs.cr4 = 3;
  sregs.efer = kLma;
  auto read = x86_state(bytes_of(regs), bytes_of(sregs));
  ASSERT_TRUE(read);
  EXPECT_THAT((std::vector{read->cr0, read->cr3, read->cr4, read->efer}),
              ElementsAre(1, 2, 3, kLma));
  EXPECT_EQ(read->code_bits(), 16);
  EXPECT_EQ(read->instruction_address(), 0x11234u);
  EXPECT_EQ(read->stack_address(), 0x25678u);
  sregs.cs.db = sregs.ss.db = 1;
  read = x86_state(bytes_of(regs), bytes_of(sregs));
  EXPECT_EQ(read->code_bits(), 32);
  EXPECT_EQ(read->stack_address(), 0x35678u);
  sregs.cs.l = 1;
  read = x86_state(bytes_of(regs), bytes_of(sregs));
  EXPECT_EQ(read->code_bits(), 64);
  EXPECT_EQ(read->instruction_address(), regs.rip);
  EXPECT_EQ(read->stack_address(), regs.rsp);
  EXPECT_FALSE(x86_state(bytes_of(regs).first(100), bytes_of(sregs)));
}
#endif

constexpr uint32_t kSetRegion = 0x4020ae46, kSetRegion2 = 0x40a0ae49, kCreateVm = 0xae01;

// A session's ring, and a vCPU's whose process is this one.
class CrashMemoryTest : public ::testing::Test {
 protected:
  CrashMemoryTest()
      : guest_(static_cast<uint8_t*>(::mmap(nullptr, kGuestBytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    for (size_t i = 0; i < kGuestBytes; ++i) guest_[i] = static_cast<uint8_t>(i % 251);
    session_ring_.header()->vcpu_index = kSessionStream;
    session_.bind(session_ring_.header());
    recording_.drain().add_stream(session_ring_.header());
    RingHeader* ring = vcpu_ring_.header();
    ring->vcpu_index = 1;
    ring->writer_pid = static_cast<uint32_t>(::getpid());
    ring->writer_start_time = process_start_time(::getpid());
    recording_.drain().take_crash_memory();
  }
  ~CrashMemoryTest() override { ::munmap(guest_, kGuestBytes); }

  void call(uint32_t descriptor, uint32_t request, std::span<const uint8_t> in, int result = 0) {
    const ControlCallRecord call{descriptor, request, 0, ~0u, result, 0, 0, 0, 0};
    ASSERT_TRUE(write_control_call(session_, read_clock(), call, in, {}));
  }
  void region(uint32_t slot, uint64_t physical, uint64_t bytes, uint64_t host,
              uint32_t request = kSetRegion, uint32_t flags = 0, int result = 0) {
    std::vector<uint64_t> words(request == kSetRegion2 ? 20 : 4);
    words[0] = slot | uint64_t{flags} << 32;
    words[1] = physical;
    words[2] = bytes;
    words[3] = host;
    call(2, request, {reinterpret_cast<const uint8_t*>(words.data()), words.size() * 8}, result);
  }
  uint64_t host() const { return reinterpret_cast<uint64_t>(guest_); }

  void put(RecordKind kind, std::span<const uint64_t> payload) {
    const auto words = static_cast<uint32_t>(kRecordHeaderWords + payload.size());
    uint64_t* out = vcpu_.reserve(words);
    ASSERT_NE(out, nullptr);
    store_ring_number(out++, record_word(kind, kind == RecordKind::kExit ? 4 : 0, words, 0));
    store_ring_number(out++, ++time_);
    for (const uint64_t word : payload) store_ring_word(out++, word);
    if (kind == RecordKind::kExit) vcpu_.count_exit();
    vcpu_.commit(words);
  }
  void exit() {
    if (!vcpu_.bound()) {
      vcpu_.bind(vcpu_ring_.header());
      recording_.drain().add_stream(vcpu_ring_.header());
    }
    std::vector<uint64_t> words(1 + kCoreWords);
    words[0] = core_mask_all(kCoreWords);
    put(RecordKind::kExit, words);
  }
  void registers(RegisterSet set, const std::vector<uint64_t>& registers,
                 RegisterStatus status = RegisterStatus::kTaken) {
    std::vector<uint64_t> words{static_cast<uint64_t>(set) | static_cast<uint64_t>(status) << 16,
                                registers.size() * 8};
    words.insert(words.end(), registers.begin(), registers.end());
    put(RecordKind::kRegisters, words);
  }
  // Real mode: nothing of kvm_sregs but segments based at 0.
  void crash(uint64_t rip, uint64_t rsp) {
    exit();
    std::vector<uint64_t> regs(18);
    regs[6] = rsp;
    regs[16] = rip;
    registers(RegisterSet::kRegs, regs);
    registers(RegisterSet::kSregs, std::vector<uint64_t>(39));
    registers(RegisterSet::kVcpuEvents, std::vector<uint64_t>(8));
  }

  struct Slice {
    uint32_t of;
    uint64_t address;
    size_t bytes;
    bool operator==(const Slice&) const = default;
  };
  // Those of the sealed trace, whose bytes are the guest's.
  std::vector<Slice> slices(uint64_t physical_begin = 0) {
    std::vector<Slice> found;
    vcpu_.finish();
    exits_ = recording_
                 .finish([&](const WalkedItem& item) {
                   if (item.side == nullptr || item.side->kind != RecordKind::kMemorySlice) return;
                   EXPECT_TRUE(item.side->belongs_to_exit);
                   EXPECT_EQ(item.side->flags, 16);
                   const auto slice = record_in<MemorySliceRecord>(*item.side);
                   found.push_back({slice.of, slice.guest_virtual, slice.bytes});
                   EXPECT_EQ(std::memcmp(guest_ + slice.guest_physical - physical_begin,
                                         item.side->payload.data() + sizeof slice, slice.bytes),
                             0);
                 })
                 .exits();
    return found;
  }
  static Slice at(MemorySliceOf of, uint64_t address, size_t bytes) {
    return {static_cast<uint32_t>(of), address, bytes};
  }

  static constexpr size_t kGuestBytes = 4 * 4096;
  uint8_t* guest_;
  RingRecording recording_{1, 64 * 1024};
  MemoryRing<uint64_t> session_ring_{4, false}, vcpu_ring_{16, false};
  RingWriter session_, vcpu_;
  uint64_t time_ = 1000;
  uint64_t exits_ = 0;
};

constexpr auto kInstruction = MemorySliceOf::kInstruction, kStack = MemorySliceOf::kStack,
               kBeforeInstruction = MemorySliceOf::kBeforeInstruction,
               kBelowStack = MemorySliceOf::kBelowStack;

TEST_F(CrashMemoryTest, StandsAroundBothPointersBehindTheExitsRegisters) {
  region(0, 0, kGuestBytes, host());
  crash(0x1100, 0x2fc0);
  EXPECT_THAT(slices(),
              ElementsAre(at(kBeforeInstruction, 0x10c0, 64), at(kInstruction, 0x1100, 64),
                          at(kBelowStack, 0x2f80, 64), at(kStack, 0x2fc0, 256)));
  EXPECT_EQ(exits_, 1u);
}

TEST_F(CrashMemoryTest, EndsWhereMemoryEndsAndBeginsWhereItBegins) {
  region(0, 0x1000, 0x1000, host());
  crash(0x1010, 0x1ff0);
  EXPECT_THAT(slices(0x1000),
              ElementsAre(at(kBeforeInstruction, 0x1000, 16), at(kInstruction, 0x1010, 64),
                          at(kBelowStack, 0x1fb0, 64), at(kStack, 0x1ff0, 16)));
}

// SP of real mode wraps within its 64 KiB: what lies in front of them is no stack.
TEST_F(CrashMemoryTest, AStackOf16BitsHasNothingBelowItsFirstByte) {
  region(0, 0, kGuestBytes, host());
  crash(0x1100, 0x8);
  EXPECT_THAT(slices(),
              ElementsAre(at(kBeforeInstruction, 0x10c0, 64), at(kInstruction, 0x1100, 64),
                          at(kBelowStack, 0, 8), at(kStack, 0x8, 256)));
}

#if defined(__x86_64__)
TEST(X86State, KnowsHowFarAStackGoesOn) {
  kvm_regs regs{};
  kvm_sregs sregs{};
  regs.rsp = 0x1'0004;
  auto read = x86_state(bytes_of(regs), bytes_of(sregs));
  EXPECT_EQ(read->stack_bytes_below(), 4u);
  EXPECT_EQ(read->stack_bytes_above(), 0xfffcu);
  sregs.ss.db = 1;
  read = x86_state(bytes_of(regs), bytes_of(sregs));
  EXPECT_EQ(read->stack_bytes_below(), UINT64_MAX);
  EXPECT_EQ(read->stack_bytes_above(), UINT64_MAX);
}
#endif

TEST_F(CrashMemoryTest, PagesThatAreGoneFromTheMonitorEndASliceAndHarmNobody) {
  region(0, 0, kGuestBytes, host());
  ::munmap(guest_ + 0x2000, 0x1000);
  crash(0x1ff0, 0x2100);
  EXPECT_THAT(slices(),
              ElementsAre(at(kBeforeInstruction, 0x1fb0, 64), at(kInstruction, 0x1ff0, 16)));
}

TEST_F(CrashMemoryTest, EveryCrashBringsItsOwnAndOrdinaryExitsBringNone) {
  region(0, 0, kGuestBytes, host());
  for (uint64_t i = 0; i < 200; ++i) {
    crash(0x1000 + i, 0x2000);
    exit();
    registers(RegisterSet::kDebugRegs, std::vector<uint64_t>(16));
    recording_.drain().pump();
  }
  EXPECT_EQ(slices().size(), 4u * 200u);
  EXPECT_EQ(exits_, 400u);
}

TEST_F(CrashMemoryTest, OnlyTheFirstCrashesOfAVcpuAreLookedAt) {
  region(0, 0, kGuestBytes, host());
  for (int i = 0; i < 300; ++i) {
    crash(0x1000, 0x2000);
    recording_.drain().pump();
  }
  EXPECT_EQ(slices().size(), 4u * 256u);
}

TEST_F(CrashMemoryTest, RefusedRegistersLeadNowhere) {
  region(0, 0, kGuestBytes, host());
  exit();
  registers(RegisterSet::kRegs, std::vector<uint64_t>(18));
  registers(RegisterSet::kSregs, {}, RegisterStatus::kRefused);
  exit();  // not with the general registers of the exit before
  registers(RegisterSet::kSregs, std::vector<uint64_t>(39));
  EXPECT_TRUE(slices().empty());
}

TEST_F(CrashMemoryTest, AnotherProcessOfTheSameNumberIsNotRead) {
  vcpu_ring_.header()->writer_start_time -= 1;
  region(0, 0, kGuestBytes, host());
  crash(0x1100, 0x2100);
  EXPECT_TRUE(slices().empty());
}

class NoRegion : public CrashMemoryTest, public ::testing::WithParamInterface<int> {
 protected:
  void tell(int what) {
    constexpr uint32_t kMemfd = 1 << 2;
    switch (what) {
      case 0:  // deleted
        region(0, 0, kGuestBytes, host());
        return region(0, 0, 0, host());
      case 1:  // moved away
        region(0, 0, kGuestBytes, host());
        return region(0, 0x10'0000, kGuestBytes, host());
      case 2:  // pages that are the guest's alone
        return region(0, 0, kGuestBytes, host(), kSetRegion2, kMemfd);
      case 3:  // refused
        return region(0, 0, kGuestBytes, host(), kSetRegion, 0, -1);
      case 4:  // of system management mode
        return region(1 << 16, 0, kGuestBytes, host());
      case 5:  // beyond the end of everything
        return region(0, ~uint64_t{0xfff}, ~uint64_t{0}, host());
      case 6:
        return region(0, 0, ~uint64_t{0}, host());
      case 7:  // where the monitor has nothing
        return region(0, 0, kGuestBytes, 0xdead'0000'0000'0000);
      case 8:  // of which of two VMs?
        call(1, kCreateVm, {}, 5);
        region(0, 0, kGuestBytes, host());
        return call(1, kCreateVm, {}, 6);
      default:  // cut off
        return call(2, kSetRegion, std::vector<uint8_t>(31));
    }
  }
};

TEST_P(NoRegion, GivesNoMemory) {
  tell(GetParam());
  crash(0x1100, 0x2100);
  EXPECT_TRUE(slices().empty());
}
INSTANTIATE_TEST_SUITE_P(Told, NoRegion, ::testing::Range(0, 10));

TEST_F(CrashMemoryTest, RegionsOfTheSecondKindWithoutGuestMemfdAreReadToo) {
  call(1, kCreateVm, {}, 5);
  region(0, 0x1000, 0x1000, host(), kSetRegion2);
  region(7, 0x2000, 0x3000, host() + 0x1000, kSetRegion2);
  crash(0x1ff0, 0x2000);
  EXPECT_THAT(slices(0x1000),
              ElementsAre(at(kBeforeInstruction, 0x1fb0, 64), at(kInstruction, 0x1ff0, 64),
                          at(kBelowStack, 0x1fc0, 64), at(kStack, 0x2000, 256)));
}

}  // namespace
}  // namespace kvmtape::testing
