// When a process began, by which a process number that was given out again is told from the one
// that a ring's header names. Nothing but libc: the preload library calls it inside a foreign
// monitor. Any thread; system calls.
#pragma once

#include <cstdint>

namespace kvmtape {

// What RingHeader::writer_start_time says of a process: field 22 of /proc/PID/stat; 0 if there is
// none, or if it has ended and only waits to be reaped.
uint64_t process_start_time(int pid) noexcept;
uint64_t own_start_time() noexcept;

// There is one, which has ended and only waits to be reaped; its other threads may live.
bool is_zombie(int pid) noexcept;

}  // namespace kvmtape
