// "Did you mean": the nearest of some names, for a verb, a guest, an exit or a recording that does
// not exist. Any thread; nearest_trace() reads two directories.
#pragma once

#include <string>
#include <vector>

namespace kvmtape {

// Empty when none is near: more than a third of the letters would have to change.
std::string nearest_name(const std::string& typed, const std::vector<std::string>& names);
// Of the recordings in `path`'s folder and in the default directory: a path, or empty.
std::string nearest_trace(const std::string& path);

}  // namespace kvmtape
