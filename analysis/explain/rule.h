// One cause that a guest can die of, or one thing that a reader of the report must know: a file
// each in rules/. A rule sees every exit as the walk goes by, if it counts something, and judges
// when it is over. It finds nothing without evidence, and says what it cannot know. One object a
// walk.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/explain/case.h"
#include "analysis/explain/finding.h"

namespace kvmtape {

// One exit or, where `count` is more, the exits of a repeat: `item` is the last of them, monitor_ns
// the longest that one took, and guest_ns not known.
struct SeenExit {
  const Item& item;
  const DecodedExit& decoded;
  uint64_t count;
  uint64_t first_seq;
  int64_t first_ns;
  Place first() const { return {item.vcpu_index, first_seq}; }
  Place place() const { return {item.vcpu_index, item.exit->seq}; }
};

class Rule {
 public:
  virtual ~Rule() = default;
  virtual std::string_view id() const = 0;     // what --fail-on names
  virtual std::string_view about() const = 0;  // a line for --rules
  // Rules whose finding explains this one's: it is halved when one of them found something as
  // likely.
  virtual std::vector<std::string_view> yields_to() const { return {}; }
  virtual void see(const SeenExit&) {}
  virtual void judge(const Case& all, std::vector<Finding>& findings) = 0;
};

}  // namespace kvmtape
