#include "replayer/arch_names/x86_debug.h"

#include <fmt/format.h>

#include <string_view>

#include "replayer/arch_names/bit.h"

namespace kvmtape {
namespace {

void append(std::string& text, std::string_view more) {
  if (!text.empty()) text += ", ";
  text += more;
}

std::string slot_text(const Dr7Slot& slot) {
  constexpr std::string_view kAccess[] = {"execute", "write", "I/O", "read or write"};
  if (slot.access == Dr7Access::kExecute) return std::string(kAccess[0]);
  return fmt::format("{} {} byte{}", kAccess[static_cast<uint8_t>(slot.access)], slot.bytes,
                     slot.bytes == 1 ? "" : "s");
}

std::string conditions_text(const Dr6& dr6, const Dr7* dr7) {
  std::string text;
  if (dr6.single_step) append(text, "single step");
  for (int n = 0; n < kX86BreakpointSlots; ++n) {
    if (!bit(dr6.slots, static_cast<unsigned>(n))) continue;
    if (dr7 == nullptr) {
      append(text, fmt::format("breakpoint {}", n));
      continue;
    }
    const Dr7Slot& slot = dr7->slots[static_cast<size_t>(n)];
    append(text, fmt::format("breakpoint {} ({})", n,
                             slot.enabled() ? slot_text(slot) : "not enabled in DR7"));
  }
  if (dr6.register_access) append(text, "debug register access");
  if (dr6.task_switch) append(text, "task switch");
  if (dr6.bus_lock) append(text, "bus lock");
  if (dr6.in_transaction) append(text, "in a transaction");
  return text.empty() ? "nothing reported" : text;
}

}  // namespace

Dr6 decode_dr6(uint64_t value) {
  Dr6 dr6;
  dr6.slots = static_cast<uint8_t>(value & 0xf);
  dr6.bus_lock = !bit(value, 11);
  dr6.register_access = bit(value, 13);
  dr6.single_step = bit(value, 14);
  dr6.task_switch = bit(value, 15);
  dr6.in_transaction = !bit(value, 16);
  return dr6;
}

Dr7 decode_dr7(uint64_t value) {
  // LEN 2 means 8 bytes in 64-bit mode and is undefined elsewhere.
  constexpr uint8_t kBytes[] = {1, 2, 8, 4};
  Dr7 dr7;
  for (unsigned n = 0; n < kX86BreakpointSlots; ++n) {
    Dr7Slot& slot = dr7.slots[n];
    slot.local_enable = bit(value, 2 * n);
    slot.global_enable = bit(value, 2 * n + 1);
    slot.access = static_cast<Dr7Access>((value >> (16 + 4 * n)) & 3);
    slot.bytes = kBytes[(value >> (18 + 4 * n)) & 3];
  }
  dr7.local_exact = bit(value, 8);
  dr7.global_exact = bit(value, 9);
  dr7.transactional = bit(value, 11);
  dr7.general_detect = bit(value, 13);
  return dr7;
}

std::string dr6_text(uint64_t dr6) { return conditions_text(decode_dr6(dr6), nullptr); }

std::string debug_exception_text(uint64_t dr6, uint64_t dr7) {
  const Dr7 slots = decode_dr7(dr7);
  return conditions_text(decode_dr6(dr6), &slots);
}

std::string dr7_text(uint64_t value) {
  const Dr7 dr7 = decode_dr7(value);
  std::string text;
  for (unsigned n = 0; n < kX86BreakpointSlots; ++n) {
    const Dr7Slot& slot = dr7.slots[n];
    if (!slot.enabled()) continue;
    append(text, fmt::format("{}: {} ({}{}{})", n, slot_text(slot), slot.local_enable ? "L" : "",
                             slot.local_enable && slot.global_enable ? "|" : "",
                             slot.global_enable ? "G" : ""));
  }
  if (text.empty()) text = "no breakpoint enabled";
  if (dr7.transactional) text += ", in transactions";
  if (dr7.general_detect) text += ", debug register accesses";
  return text;
}

}  // namespace kvmtape
