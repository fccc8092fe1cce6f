// The registers of a crash as lines of a report, for people: by architecture those that one looks
// at first, with what their bits mean; all of them with `all`. Pure function, any thread.
#pragma once

#include <string>
#include <vector>

#include "analysis/explain/case.h"

namespace kvmtape {

std::vector<std::string> register_lines(const Case& of, const Registers& registers, bool all);

}  // namespace kvmtape
