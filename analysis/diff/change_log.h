// The differences of a comparison as they are found: counted, the first ones kept, and those that
// say the same told once. What is told of one is made only when it is kept. One thread; writes into
// the Diff that it borrows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "analysis/diff/diff.h"

namespace kvmtape {

class ChangeLog {
 public:
  ChangeLog(const DiffOptions& options, Diff& diff) : options_(options), diff_(diff) {}

  struct Found {
    uint32_t vcpu = 0;
    ChangeKind kind = ChangeKind::kChanged;
    bool explained = false;
    int64_t time_ns = 0;
    uint64_t says = 0;  // equal for those that say the same
    std::string_view guest{};
  };
  void add(const Found& found, const std::function<ExitChange()>& describe);

  // Groups in their order, and which of the kernels' differences explain any of it.
  void finish(const KernelDifferences& kernels);

 private:
  static constexpr size_t kGroupsMax = 4096;

  const DiffOptions& options_;
  Diff& diff_;
  struct Known {
    size_t group;  // in diff_.groups
    std::string last_guest;
  };
  std::unordered_map<uint64_t, Known> groups_;  // by what they say
  int64_t first_time_ = 0, first_unexplained_time_ = 0;
};

}  // namespace kvmtape
