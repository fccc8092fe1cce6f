// The documents that `info`, `stat` and `verify` print with --json, and the session that stands in
// front of everything. Shapes: docs/kvmtape.1, section JSON. Any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analysis/gaps.h"
#include "analysis/stat.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

nlohmann::ordered_json session_json(const Session& session);
nlohmann::ordered_json totals_json(const TraceReader& reader);
nlohmann::ordered_json gaps_json(const GapList& list);
nlohmann::ordered_json storage_json(const TraceReader& reader);
nlohmann::ordered_json rows_json(const Stat& stat);
// What was found wrong: in bytes that were looked at, and where it ends.
std::vector<std::string> problem_texts(const TraceHealth& health);

// One line; what is not UTF-8 is replaced by U+FFFD.
std::string to_line(const nlohmann::ordered_json& document);

}  // namespace kvmtape
