// Of a build without libelf.
#include "analysis/explain/elf_symbols.h"

namespace kvmtape {

Result<std::vector<std::pair<uint64_t, std::string>>> elf_symbols(const std::string& path) {
  return Error{ErrorCode::kUsage,
               "is an ELF file, and this kvmtape was built without libelf; give System.map",
               path,
               {}};
}

}  // namespace kvmtape
