// What `diff` says to people: both recordings, what is different in their sessions, where they
// part, and every difference once. One thread.
#pragma once

#include <vector>

#include "analysis/diff/diff.h"
#include "analysis/diff/distributions.h"
#include "analysis/diff/session_changes.h"
#include "cli/console.h"

namespace kvmtape {

struct DiffTextOptions {
  bool only_unexplained = false;
  bool verbose = false;    // all that is different in the sessions
  size_t groups_max = 40;  // 0: all
  TimeNoise noise = {};    // that times were compared with
};

void print_diff(const TraceReader& a, const TraceReader& b, const Diff& diff,
                const std::vector<SessionChange>& session,
                const std::vector<Distribution>& distributions, const DiffTextOptions& options,
                Console& console);

}  // namespace kvmtape
