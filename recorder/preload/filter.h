// What a system call filter would say to a call, by running its program as the kernel does: so that
// registers are taken where the monitor's own filter permits it, and never where it would kill.
// Pure computation.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace kvmtape::preload {

// SECCOMP_RET_ALLOW or SECCOMP_RET_LOG. A program that does not make sense allows nothing.
bool filter_allows(const sock_fprog& filter, const seccomp_data& call) noexcept;

}  // namespace kvmtape::preload
