// Imports a raw stream: exits that another program recorded whole, page by page, become a trace as
// if capture had seen them. One record a moment, little-endian and packed:
//
//   u64 CLOCK_MONOTONIC ns | u64 TSC | u32 vCPU | u16 data_bytes | u16 record_bytes | i32 ret |
//   u8 moment (0 exit, 1 answer) | u8 zero[3] | u8 kvm_run[288] | u8 data[data_bytes] | padding
//
// record_bytes is the whole record, a multiple of 8. An answer belongs to the last exit of its
// vCPU; a stream without answers is valid. The trace's clock is the stream's CLOCK_MONOTONIC.
// Memory is constant in the length of the stream. One thread.
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
  // What the stream cannot say: architecture, byte order, kernel, capabilities. uuid, vcpus, clocks
  // and recorder are filled in.
  Session session;
};

struct ImportReport {
  uint64_t exits = 0;
  uint64_t answers = 0;
  uint64_t entries = 0;  // answers without an exit
  uint32_t vcpus = 0;
  uint64_t trace_bytes = 0;
  // Where the stream stops making sense; all before it is in the trace.
  std::optional<Error> bad_input;
};

// Errors: the input cannot be opened, the output cannot be written.
Result<ImportReport> import_raw_stream(const ImportOptions& options);

}  // namespace kvmtape
