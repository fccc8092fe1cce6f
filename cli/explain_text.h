// The report of `explain` for people: what, why, what led there, on a screen. Everything that comes
// from the guest is made printable. One thread.
#pragma once

#include "analysis/explain/explain.h"
#include "analysis/symbols/symbols.h"
#include "cli/console.h"

namespace kvmtape {

struct ExplainTextOptions {
  size_t history_lines = 20;
  size_t causes = 3;                 // in full; the others in a line each
  const Symbols* symbols = nullptr;  // null: none were given
  std::string symbols_moved;         // how far, and who says so; empty: not at all
  bool verbose = false;              // every register, and all causes in full
};

void print_explanation(const Explanation& explanation, const ExplainTextOptions& options,
                       Console& console);

}  // namespace kvmtape
