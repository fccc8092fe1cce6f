// What many rules need to say: a finding about the crash exit, bytes and hexadecimal in words. Pure
// functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "analysis/explain/case.h"
#include "analysis/explain/finding.h"
#include "replayer/arch_names/disassembly.h"

namespace kvmtape {

// About the crash exit, which is its evidence. There is one.
Finding crash_finding(const Case& all, std::string title, double confidence);
Finding note_finding(std::string title, double confidence, Place evidence);

// The instruction that the crash's vCPU stood at, from the bytes of guest memory that were taken
// with it; nullopt: none were, or they are no instruction.
std::optional<Instruction> instruction_in_memory(const Case& all);

// At most so many exits before the crash, on its vCPU: false without one.
bool is_close_to_crash(const Case& all, const Place& place, uint64_t exits_max);
// At most so many exits of its vCPU came after it.
bool is_close_to_end(const Case& all, const Place& place, uint64_t exits_max);

// later - earlier, cut to what fits: the times of a damaged recording lie anywhere.
int64_t elapsed_ns(int64_t earlier, int64_t later);

std::string hex_bytes(std::span<const uint8_t> bytes);  // "0f 58 03"

// The exits of the crash's vCPU from the crash backwards, it included; at most `most`.
std::vector<const KeptExit*> exits_up_to_crash(const Case& all, size_t most);

}  // namespace kvmtape
