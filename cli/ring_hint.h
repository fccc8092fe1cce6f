// Somebody names the rings of a recording instead of the recording: what to name instead. Reads a
// link and a header, which may be anything. One thread.
#pragma once

#include <string>

namespace kvmtape {

// "is a directory of rings, of vm.kvmtape: ...", an error's text, if `path` is a session's
// directory of rings or a ring in one; else empty.
std::string ring_hint(const std::string& path);

}  // namespace kvmtape
