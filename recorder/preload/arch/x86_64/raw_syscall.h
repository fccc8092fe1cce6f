// A system call of x86-64 without libc: for the moments before the next definition of a function is
// known. Any thread; the kernel's answer as it is, -4095..-1 being a negated errno.
#pragma once

namespace kvmtape::interpose {

inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
  long answer;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return answer;
}

}  // namespace kvmtape::interpose
