// One bit of a register, by its number, which is below 64: what the tables of bits and the checks
// of processor state ask for. Pure function, any thread.
#pragma once

#include <cstdint>

namespace kvmtape {

constexpr bool bit(uint64_t value, unsigned number) { return (value >> number & 1) != 0; }

}  // namespace kvmtape
