// Rings that a recorder which died left behind, and that nobody needs any more. We remove nothing
// ourselves: the user is told what would. One thread.
#pragma once

#include <string>

#include "replayer/trace_reader.h"

namespace kvmtape {

// "the rings in DIR (1.0 MB) are no longer needed: rm -r DIR"; empty if there are none, or if
// somebody may still need them.
std::string leftover_rings_text(const TraceReader& reader);

// "the rings in DIR (1.0 MB) stay, for a better copy of FILE", of one that is damaged; empty as
// above.
std::string kept_rings_text(const TraceReader& reader);

// As leftover_rings_text of the recording at `path`, if there is one: for who is about to replace
// it.
std::string leftover_rings_text(const std::string& path);

}  // namespace kvmtape
