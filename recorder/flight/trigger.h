// What makes a flight recorder write down what it holds. Rules are text, the same on the command
// line and in the API. Plain data; any thread.
//
//   crash        an exit after which a guest does not go on, or a KVM_RUN that failed
//   same=N/T     N exits of one reason at one place (port, address, MSR) without another between
//                them, within the time T: a guest that spins
//   slow=T       an answer that takes the monitor longer than T, found out while it still does; a
//                KVM_RUN that a signal ended asks for none
//   silent=T     a vCPU that neither exits nor is answered for T
//   end          the end of the recording
//
// A vCPU that has ended is neither slow nor silent.
//
// Times: 500us, 10ms, 2s, 5m.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace kvmtape {

struct Triggers {
  bool crash = false;
  bool end = false;
  uint64_t same_count = 0;  // 0: not asked for
  uint64_t same_ns = 0;
  uint64_t slow_ns = 0;
  uint64_t silent_ns = 0;

  bool watch_exits() const { return crash || same_count != 0 || slow_ns != 0 || silent_ns != 0; }
};

// Adds one rule. The error says which rules there are.
Result<void> add_trigger(std::string_view rule, Triggers& triggers);
// Rules separated by commas; none means "crash,end".
Result<Triggers> parse_triggers(std::string_view rules);

// "500us", "10ms", "2s", "5m", "1h" in nanoseconds; above 0.
Result<uint64_t> parse_duration(std::string_view text);

}  // namespace kvmtape
