// Which of the guest's functions the crash's addresses lie in: the program counter, and the words
// on the stack that may be return addresses. Pure function, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/explain/case.h"
#include "analysis/symbols/symbols.h"

namespace kvmtape {

struct NamedAddress {
  std::string what;  // "rip", "stack+0x8"
  uint64_t address = 0;
  std::string name;    // "do_idle+0x12"
  std::string source;  // "kernel/sched/idle.c:311"; empty: not known
};

// Only those that have a name. A word on the stack may be a leftover of an earlier call.
std::vector<NamedAddress> named_addresses(const Case& all, const Symbols& symbols);

}  // namespace kvmtape
