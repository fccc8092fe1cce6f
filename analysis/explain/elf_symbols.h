// The symbols of an ELF file, a guest's vmlinux, by libelf. In a build without libelf (a cross
// build) elf_symbols() says so. Any thread. Errors: kIo, kUsage (no ELF file, no symbols).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"

namespace kvmtape {

// Address and name of every function and object.
Result<std::vector<std::pair<uint64_t, std::string>>> elf_symbols(const std::string& path);

}  // namespace kvmtape
