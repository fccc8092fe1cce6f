// What a run found: figures that have a goal, and lines of raw ones. Printed as a table; those with
// a goal go into bench.json. One thread.
#pragma once

#include <string>
#include <vector>

#include "schema/base/result.h"

namespace kvmtape::bench {

enum class Better { kLower, kHigher };

struct Figure {
  std::string name;
  std::string unit;
  double value = 0;
  double goal = 0;
  Better better = Better::kLower;
  std::string reason_skipped;  // empty: it was measured

  bool met() const {
    if (!reason_skipped.empty()) return false;
    return better == Better::kLower ? value <= goal : value >= goal;
  }
};

class Figures {
 public:
  void add(Figure figure) { ratios_.push_back(std::move(figure)); }
  // A line under the table.
  void note(std::string line) { notes_.push_back(std::move(line)); }

  void print() const;
  Result<void> write_json(const std::string& path) const;

 private:
  std::vector<Figure> ratios_;
  std::vector<std::string> notes_;
};

}  // namespace kvmtape::bench
