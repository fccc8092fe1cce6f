#include "analysis/memory_slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

// What fits on a line.
constexpr size_t kShownInstructions = 8, kShownCodeBytes = 24, kShownWords = 8;

bool is_x86(Architecture architecture) {
  return architecture == Architecture::kX86_64 || architecture == Architecture::kI386;
}

std::string place_text(Architecture architecture, MemorySliceOf of) {
  const bool x86 = is_x86(architecture);
  switch (of) {
    case MemorySliceOf::kInstruction:
      return x86 ? "at rip" : "at pc";
    case MemorySliceOf::kBeforeInstruction:
      return x86 ? "before rip, from" : "before pc, from";
    case MemorySliceOf::kStack:
      return x86 ? "at rsp" : "at sp";
    case MemorySliceOf::kBelowStack:
      return x86 ? "below rsp, from" : "below sp, from";
  }
  return "at";
}

std::string bytes_text(std::span<const uint8_t> bytes, size_t most) {
  std::string text;
  for (const uint8_t byte : bytes.first(std::min(most, bytes.size())))
    fmt::format_to(std::back_inserter(text), " {:02x}", byte);
  return text;
}

// In the guest's own word size where that is known, from the stack pointer on.
std::string words_text(const DecodeContext& context, const MemorySlice& slice) {
  const size_t word = slice.code_bits == 16 ? 2 : slice.code_bits == 32 ? 4 : 8;
  std::string text;
  for (size_t i = 0; i < kShownWords && (i + 1) * word <= slice.bytes.size(); ++i) {
    const uint8_t* from = &slice.bytes[i * word];
    const uint64_t value = word == 2   ? load<uint16_t>(from, context.byte_order)
                           : word == 4 ? load<uint32_t>(from, context.byte_order)
                                       : load<uint64_t>(from, context.byte_order);
    fmt::format_to(std::back_inserter(text), " {:#x}", value);
  }
  return text;
}

// It is what a register held.
bool has_address(const DecodeContext& context) {
  return keeps(context.redaction, Sensitivity::kRegister);
}

}  // namespace

MemorySlice::MemorySlice(const Item& item)
    : record(item.slice),
      code_bits(item.side->flags),
      bytes(item.slice_bytes.begin(), item.slice_bytes.end()) {}

std::string_view name_of(MemorySliceOf of) {
  switch (of) {
    case MemorySliceOf::kInstruction:
      return "instruction";
    case MemorySliceOf::kStack:
      return "stack";
    case MemorySliceOf::kBeforeInstruction:
      return "before instruction";
    case MemorySliceOf::kBelowStack:
      return "below stack";
  }
  return "?";
}

std::vector<Instruction> instructions_in(const DecodeContext& context, const MemorySlice& slice,
                                         size_t most) {
  const bool wide_known = slice.code_bits == 16 || slice.code_bits == 32 || slice.code_bits == 64;
  if (static_cast<MemorySliceOf>(slice.record.of) != MemorySliceOf::kInstruction ||
      (is_x86(context.architecture) && !wide_known))
    return {};
  return disassemble(context.architecture, context.byte_order, slice.bytes,
                     slice.record.guest_virtual,
                     wide_known ? static_cast<X86Mode>(slice.code_bits) : X86Mode::k64Bit, most);
}

std::string memory_slice_text(const DecodeContext& context, const MemorySlice& slice) {
  const auto of = static_cast<MemorySliceOf>(slice.record.of);
  if (slice.bytes.empty() && !has_address(context))
    return fmt::format("{} an address that was removed: removed",
                       place_text(context.architecture, of));
  std::string text = fmt::format("{} {:#x} (physical {:#x})", place_text(context.architecture, of),
                                 slice.record.guest_virtual, slice.record.guest_physical);
  if (slice.bytes.empty()) return text.append(": removed");
  text.push_back(':');
  if (of == MemorySliceOf::kStack) return text.append(words_text(context, slice));
  text.append(bytes_text(slice.bytes,
                         of == MemorySliceOf::kInstruction ? kShownCodeBytes : slice.bytes.size()));
  std::string_view separator = ": ";
  for (const Instruction& instruction : instructions_in(context, slice, kShownInstructions)) {
    text.append(separator).append(instruction.text);
    separator = "; ";
  }
  return text;
}

void write_memory_slice(JsonWriter& json, const DecodeContext& context, const MemorySlice& slice) {
  json.begin_object();
  json.key("of");
  json.string(name_of(static_cast<MemorySliceOf>(slice.record.of)));
  for (const auto& [name, address] : {std::pair{"guest_virtual", slice.record.guest_virtual},
                                      std::pair{"guest_physical", slice.record.guest_physical}}) {
    json.key(name);
    if (has_address(context))
      json.hex(address);
    else
      json.null();
  }
  json.key("bytes");
  json.bytes(slice.bytes);
  const auto instructions = instructions_in(context, slice, kInstructionsMax);
  if (!instructions.empty()) {
    json.key("instructions");
    json.begin_list();
    for (const Instruction& instruction : instructions) json.string(instruction.text);
    json.end_list();
  }
  json.end_object();
}

}  // namespace kvmtape
