// The document that `diff --json` prints. What scripts rely on is its shape: docs/kvmtape.1,
// section JSON. Any thread; the document owns its text.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/diff/diff.h"
#include "analysis/diff/distributions.h"
#include "analysis/diff/session_changes.h"

namespace kvmtape {

nlohmann::ordered_json diff_json(const TraceReader& a, const TraceReader& b, const Diff& diff,
                                 const std::vector<SessionChange>& session,
                                 const std::vector<Distribution>& distributions,
                                 const DiffOptions& options, bool equal);

}  // namespace kvmtape
