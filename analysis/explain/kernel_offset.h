// How far KASLR moved the guest's kernel, from what a crash left: the code that was taken at the
// program counter must be vmlinux's, and words on the stack that are return addresses stand behind
// calls of it. Pure function, any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "analysis/explain/case.h"
#include "analysis/symbols/kernel_image.h"

namespace kvmtape {

struct KernelOffset {
  uint64_t offset = 0;
  size_t code_bytes = 0;        // at the program counter that are vmlinux's
  size_t return_addresses = 0;  // on the stack that stand behind a call
};

// nullopt: nothing fits, or more than one offset fits as well.
std::optional<KernelOffset> find_kernel_offset(const Case& all, const KernelImage& image);

}  // namespace kvmtape
