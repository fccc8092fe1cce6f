// Standing between a program and its libc: the general part of a preloaded library that watches or
// serves KVM. interpose.cc defines the libc functions through which a program reaches descriptors
// (the list is preload.map); the library that links it defines the on_...() functions below. They
// run on the program's own threads, in its signal handlers and before main(): no exception, no
// allocation, errno as it was where a call is passed on.
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <sys/types.h>

namespace kvmtape::interpose {

// What the program would have called without us: libc, or a library preloaded behind this one.
namespace next {
int ioctl(int fd, unsigned long request, void* argument) noexcept;
void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept;
int munmap(void* address, size_t bytes) noexcept;
int close(int fd);  // a cancellation point
}  // namespace next

// The program's ioctl. `argument` is whatever stood in its place.
int on_ioctl(int fd, unsigned long request, void* argument) noexcept;
// `fd` was mapped at `address`; nothing else is mapped there any more.
void on_mapped(void* address, size_t bytes, int fd, off_t offset) noexcept;
// These addresses are about to lose what is mapped there.
void on_unmapping(void* address, size_t bytes) noexcept;
// `to` has become another name of what `from` is.
void on_copied(int from, int to) noexcept;
// The descriptors first..last are about to be closed.
void on_closing(unsigned first, unsigned last) noexcept;
// A system call filter is about to be installed; null: strict mode.
void on_filter(const sock_fprog* filter) noexcept;

}  // namespace kvmtape::interpose
