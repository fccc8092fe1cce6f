// What may be said on a recording's control socket: one line, a word and for some a text. The other
// side may be anybody, so everything that is not exactly a request is refused. Pure; any thread.
//
//   status                 rates, ring fill, exits, lost, bytes
//   start, stop            goes on recording, or pauses: exits in between become one gap
//   snapshot [TEXT]        writes what has been published; a flight recorder: a file, with TEXT as
//   reason mark TEXT              puts TEXT into the trace
#pragma once

#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace kvmtape {

inline constexpr size_t kRequestBytesMax = 1024;

struct Request {
  enum class Kind { kStatus, kStart, kStop, kSnapshot, kMark };
  Kind kind = Kind::kStatus;
  std::string text;
};

// `line` without its end. kUsage says what is wrong with it.
Result<Request> parse_request(std::string_view line);

}  // namespace kvmtape
