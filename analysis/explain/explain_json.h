// The document of `explain --json`; its shape is what scripts rely on: docs/kvmtape.1, section
// JSON. One thread.
#pragma once

#include <nlohmann/json.hpp>

#include "analysis/explain/explain.h"
#include "analysis/explain/symbols.h"

namespace kvmtape {

// `history_lines`: at most so many of the exits that led there. `symbols` may be null.
nlohmann::ordered_json explanation_json(const Explanation& explanation, size_t history_lines,
                                        const Symbols* symbols);

}  // namespace kvmtape
