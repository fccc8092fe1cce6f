// Imports kvm_run pages: 4096 bytes each, one after another, as a debugger takes them out of a core
// or a test program writes them after KVM_RUN. Each becomes an exit of vCPU 0, sync area and all;
// what a page does not say (what KVM_RUN returned, when, the bytes at io.data_offset) is not made
// up: left_out says "ret" and the clock is "none". Memory is constant in the number of pages. One
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "recorder/import/import.h"
#include "schema/base/result.h"

namespace kvmtape {

inline constexpr uint32_t kRawPageBytes = 4096;

// `returns`, if not empty, is a file that says of each page what KVM_RUN returned: a number a line,
// 0 or the negated errno. Errors: an input cannot be opened, the output cannot be written.
Result<ImportReport> import_raw_pages(const ImportOptions& options, const std::string& returns);

}  // namespace kvmtape
