// From what a trace's header says to what the decoder needs to know. Any thread; no errors: what
// the header does not say stays unknown.
#pragma once

#include <string_view>

#include "replayer/decode_context.h"
#include "schema/session_codec.h"

namespace kvmtape {

DecodeContext decode_context_of(const Session& session);

// "x86_64", as --arch and JSON spell it; "unknown".
std::string_view architecture_name(Architecture architecture);

}  // namespace kvmtape
