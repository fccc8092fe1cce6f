// Marks that the recorder itself leaves, and that readers know by their text: what it saw of the
// monitor, and no record has a field for. Constants; any thread.
#pragma once

#include <string_view>

namespace kvmtape {

// `record`: a signal ended the monitor; its name follows, "SIGKILL".
inline constexpr std::string_view kMonitorKilledMark = "the monitor was killed by ";

}  // namespace kvmtape
