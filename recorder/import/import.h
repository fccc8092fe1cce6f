// What every import is asked for, and what it tells: raw bytes in, a trace out. Plain data,
// owned by the thread that imports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/base/result.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct ImportOptions {
  std::string input;  // plain or zstd; "-" is standard input
  std::string output;
  bool force = false;  // replace an existing trace
  // What the input cannot say: architecture, byte order, kernel, capabilities. uuid, vcpus, clocks
  // and recorder are filled in.
  Session session;
};

struct ImportReport {
  uint64_t exits = 0;
  uint64_t answers = 0;
  uint64_t entries = 0;  // answers without an exit
  uint32_t vcpus = 0;
  uint64_t trace_bytes = 0;
  // Where the input stops making sense; all before it is in the trace. (If that is nothing, the
  // import failed: an Error instead of a report, and no trace.)
  std::optional<Error> bad_input;
};

}  // namespace kvmtape
