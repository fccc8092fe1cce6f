// The document of `explain --json`; its shape is what scripts rely on: docs/kvmtape.1, section
// JSON. One thread.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "analysis/explain/explain.h"
#include "analysis/explain/probe_guests.h"
#include "analysis/symbols/symbols.h"

namespace kvmtape {

// `guests` of the probe, else none. `history_lines`: at most so many of the exits that led there.
// `symbols` may be null.
nlohmann::ordered_json explanation_json(const Explanation& explanation,
                                        std::span<const ProbeGuest> guests, size_t history_lines,
                                        const Symbols* symbols);

}  // namespace kvmtape
