// The clock that stamps records, of the architecture that this build runs on. Every folder under
// arch/ has the same files with the same functions.
#pragma once

#if defined(__x86_64__)
#include "recorder/ring/arch/x86_64/clock.h"
#elif defined(__aarch64__)
#include "recorder/ring/arch/aarch64/clock.h"
#else
#error "kvmtape records on x86_64 and aarch64; elsewhere configure with -DKVMTAPE_RECORDER=OFF"
#endif
