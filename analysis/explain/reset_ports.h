// The ports by which a guest asks a PC to be reset: keyboard controller, reset control register,
// fast reset. Pure function, any thread, static text.
#pragma once

#include <string_view>

#include "analysis/decoded_exit.h"

namespace kvmtape {

// "wrote the reset control register (port 0xcf9)"; empty: the exit is no such request.
std::string_view reset_request(const DecodedExit& decoded);

}  // namespace kvmtape
