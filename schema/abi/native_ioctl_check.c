// Compiled, never called: holds every ioctl number of this machine's own architecture against the
// <linux/kvm.h> that is installed here. In C: an ioctl's number holds sizeof its struct, and the
// empty struct within those that end in a flexible array (__DECLARE_FLEX_ARRAY of
// include/uapi/linux/stddef.h, Linux 6.1) has a size in C++.
#include <linux/kvm.h>
#include <sys/ioctl.h>

#define KVMTAPE_NATIVE_IOCTL(name, number) _Static_assert((name) == (number), #name);

#include "schema/abi/native_ioctls.inc"
