// One cause that a guest can die of, or one thing that a reader of the report must know: a file
// each in rules/. A rule sees every exit as the walk goes by, if it counts something, and judges
// when it is over. It finds nothing without evidence, and says what it cannot know. One object a
// walk.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "analysis/explain/case.h"
#include "analysis/explain/finding.h"

namespace kvmtape {

struct SeenExit {
  const Item& item;
  const DecodedExit& decoded;
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
  virtual void see_repeat(const Item&) {}
  virtual void judge(const Case& all, std::vector<Finding>& findings) = 0;
};

}  // namespace kvmtape
