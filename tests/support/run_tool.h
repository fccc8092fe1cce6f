// Runs build/kvmtape as a user does, by a shell line, and keeps what it said. Each tool has an
// empty default directory of its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/scratch.h"

namespace kvmtape::testing {

struct ToolRun {
  int status = -1;  // exit status; 128 + n for a signal
  std::string out;
  std::string err;

  nlohmann::json json() const;  // of the whole output; fails the test if it is none
  std::vector<nlohmann::json> json_lines() const;
};

class Tool {
 public:
  // `arguments` as a shell takes them, behind `kvmtape`; `before` in front: "NO_COLOR=1".
  ToolRun run(const std::string& arguments, const std::string& before = {}) const;
  // A file of this tool's scratch directory.
  std::string file(const std::string& name) const { return scratch_.file(name); }

 private:
  ScratchDirectory scratch_;
};

}  // namespace kvmtape::testing
