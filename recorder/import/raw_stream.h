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

#include "recorder/import/import.h"
#include "schema/base/result.h"

namespace kvmtape {

// Errors: the input cannot be opened, the output cannot be written.
Result<ImportReport> import_raw_stream(const ImportOptions& options);

}  // namespace kvmtape
