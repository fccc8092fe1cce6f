// What a memory slice of a crash exit says: which pointer led to it, its bytes, and as what they
// are read: instructions at the instruction pointer, words at the stack pointer. The bytes are a
// guest's and mean anything. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/json_writer.h"
#include "replayer/arch_names/disassembly.h"
#include "replayer/decode_context.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// A slice that outlives its item.
struct MemorySlice {
  explicit MemorySlice(const Item& item);
  MemorySliceRecord record;
  uint8_t code_bits;
  std::vector<uint8_t> bytes;
};

// "instruction", "before instruction", "stack", "below stack"; "?" for what is not known yet.
std::string_view name_of(MemorySliceOf of);
// From the instruction pointer on, at most `most`; empty for other slices and where it is not known
// how wide the code is.
std::vector<Instruction> instructions_in(const DecodeContext& context, const MemorySlice& slice,
                                         size_t most);
// "at rip 0x1000 (physical 0x1000): f4 0f 0b: hlt; ud2"
std::string memory_slice_text(const DecodeContext& context, const MemorySlice& slice);
// One element of "memory".
void write_memory_slice(JsonWriter& json, const DecodeContext& context, const MemorySlice& slice);

}  // namespace kvmtape
