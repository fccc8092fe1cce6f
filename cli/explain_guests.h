// `explain` of what `kvmtape probe` recorded, for people: one line for each guest that died, since
// they have nothing to do with each other. One thread.
#pragma once

#include <span>
#include <string>

#include "analysis/explain/probe_guests.h"
#include "cli/console.h"

namespace kvmtape {

// `path` of the recording, for the command that explains one guest; of `notes` only what is missing
// is said, the others are of one guest.
void print_probe_guests(std::span<const ProbeGuest> guests, std::span<const Finding> notes,
                        const std::string& path, Console& console);

}  // namespace kvmtape
