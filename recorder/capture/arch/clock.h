// Includes the clock of the architecture that this build runs on. Every folder here has the same
// files with the same functions: clock.h, changed_words.cc, registers.cc.
#pragma once

#if defined(__x86_64__)
#include "recorder/capture/arch/x86_64/clock.h"
#elif defined(__aarch64__)
#include "recorder/capture/arch/aarch64/clock.h"
#else
#error "kvmtape records on x86_64 and aarch64; elsewhere configure with -DKVMTAPE_RECORDER=OFF"
#endif
