#include "recorder/drain/x86_paging.h"

#include <array>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr uint64_t bit(unsigned number) { return uint64_t{1} << number; }
// Bits of the control registers, EFER and a table's entry; SDM volume 3, 2.5, 2.2.1 and 4.
constexpr uint64_t kCr0Pg = bit(31), kCr4Pse = bit(4), kCr4Pae = bit(5), kCr4La57 = bit(12),
                   kEferLma = bit(10);
constexpr uint64_t kPresent = bit(0), kLarge = bit(7);     // as above
constexpr uint64_t kTableAddress = 0x000f'ffff'ffff'f000;  // bits 51 to 12
constexpr uint64_t kLow32 = 0xffff'ffff;
constexpr unsigned kPageShift = 12;

// struct kvm_regs and struct kvm_sregs; arch/x86/include/uapi/asm/kvm.h, all versions.
constexpr size_t kRsp = 48, kRip = 128, kRegsBytes = 144;
constexpr size_t kSegmentBytes = 24, kSs = 5 * kSegmentBytes, kSegmentDb = 17, kSegmentL = 19;
constexpr size_t kCr0 = 224, kCr3 = 240, kCr4 = 248, kEfer = 264, kSregsBytes = 312;

std::optional<uint64_t> entry_at(GuestPhysicalReader& memory, uint64_t address, size_t bytes) {
  std::array<uint8_t, 8> entry{};
  if (memory.read(address, std::span(entry).first(bytes)) != bytes) return std::nullopt;
  const auto value = load_le<uint64_t>(entry.data());
  if ((value & kPresent) == 0) return std::nullopt;
  return value;
}

// Two levels of 1024 entries of four bytes.
std::optional<uint64_t> walk_32(const X86State& state, uint64_t linear,
                                GuestPhysicalReader& memory) {
  const auto directory = entry_at(memory, (state.cr3 & 0xffff'f000) + (linear >> 22) * 4, 4);
  if (!directory) return directory;
  if ((*directory & kLarge) != 0 && (state.cr4 & kCr4Pse) != 0)  // bits 20 to 13 are 39 to 32
    return (*directory & 0xffc0'0000) | (*directory >> 13 & 0xff) << 32 | (linear & 0x3f'ffff);
  const auto table =
      entry_at(memory, (*directory & 0xffff'f000) + (linear >> kPageShift & 0x3ff) * 4, 4);
  if (!table) return table;
  return (*table & 0xffff'f000) | (linear & 0xfff);
}

// `levels` levels of 512 entries of eight bytes, the uppermost at `table`.
std::optional<uint64_t> walk_64(uint64_t table, unsigned levels, uint64_t linear,
                                GuestPhysicalReader& memory) {
  for (unsigned level = levels; level > 0; --level) {
    const unsigned shift = kPageShift + 9 * (level - 1);
    const auto entry = entry_at(memory, table + (linear >> shift & 0x1ff) * 8, 8);
    if (!entry) return entry;
    // 2 MiB and 1 GiB; above these and in the last level, bit 7 means something else.
    if (level == 1 || ((level == 2 || level == 3) && (*entry & kLarge) != 0)) {
      const uint64_t inside = bit(shift) - 1;
      return (*entry & kTableAddress & ~inside) | (linear & inside);
    }
    table = *entry & kTableAddress;
  }
  return std::nullopt;
}

bool is_canonical(uint64_t linear, unsigned bits) {
  const auto sign = static_cast<int64_t>(linear) >> (bits - 1);
  return sign == 0 || sign == -1;
}

}  // namespace

bool X86State::is_long_mode() const { return (efer & kEferLma) != 0; }

uint8_t X86State::code_bits() const {
  if (is_long_mode() && cs_long) return 64;
  return cs_32 ? 32 : 16;
}

uint64_t X86State::instruction_address() const {
  return code_bits() == 64 ? rip : (cs_base + rip) & kLow32;
}

uint64_t X86State::stack_address() const {
  if (code_bits() == 64) return rsp;
  return (ss_base + (rsp & (ss_32 ? kLow32 : 0xffff))) & kLow32;
}

uint64_t X86State::stack_bytes_below() const {
  return code_bits() == 64 || ss_32 ? UINT64_MAX : rsp & 0xffff;
}
uint64_t X86State::stack_bytes_above() const {
  return code_bits() == 64 || ss_32 ? UINT64_MAX : 0x10000 - (rsp & 0xffff);
}

std::optional<X86State> x86_state(std::span<const uint8_t> regs, std::span<const uint8_t> sregs) {
  if (regs.size() < kRegsBytes || sregs.size() < kSregsBytes) return std::nullopt;
  const auto sreg = [&](size_t at) { return load<uint64_t>(&sregs[at], kHostByteOrder); };
  X86State state;
  state.rsp = load<uint64_t>(&regs[kRsp], kHostByteOrder);
  state.rip = load<uint64_t>(&regs[kRip], kHostByteOrder);
  state.cs_base = sreg(0);
  state.cs_32 = sregs[kSegmentDb] != 0;
  state.cs_long = sregs[kSegmentL] != 0;
  state.ss_base = sreg(kSs);
  state.ss_32 = sregs[kSs + kSegmentDb] != 0;
  state.cr0 = sreg(kCr0);
  state.cr3 = sreg(kCr3);
  state.cr4 = sreg(kCr4);
  state.efer = sreg(kEfer);
  return state;
}

std::optional<uint64_t> x86_translate(const X86State& state, uint64_t linear,
                                      GuestPhysicalReader& memory) {
  if ((state.cr0 & kCr0Pg) == 0) return linear & kLow32;
  if (state.is_long_mode()) {
    const unsigned levels = (state.cr4 & kCr4La57) != 0 ? 5 : 4;
    if (!is_canonical(linear, kPageShift + 9 * levels)) return std::nullopt;
    return walk_64(state.cr3 & kTableAddress, levels, linear, memory);
  }
  linear &= kLow32;
  if ((state.cr4 & kCr4Pae) == 0) return walk_32(state, linear, memory);
  // Four entries, of a table on 32 bytes; theirs is no level of 512.
  const auto directory = entry_at(memory, (state.cr3 & 0xffff'ffe0) + (linear >> 30) * 8, 8);
  if (!directory) return directory;
  return walk_64(*directory & kTableAddress, 2, linear, memory);
}

}  // namespace kvmtape
