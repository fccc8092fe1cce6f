// Of a build without elfutils.
#include "analysis/symbols/kernel_image.h"

namespace kvmtape {

struct KernelImage::State {};

KernelImage::KernelImage(std::unique_ptr<State> state) : state_(std::move(state)) {}
KernelImage::~KernelImage() = default;

Result<std::unique_ptr<KernelImage>> KernelImage::open(const std::string& path) {
  return Error{ErrorCode::kUsage,
               "is an ELF file, and this kvmtape was built without elfutils; give System.map",
               path,
               {}};
}

std::vector<std::pair<uint64_t, std::string>> KernelImage::take_symbols() { return {}; }
std::span<const KernelImage::Code> KernelImage::code() const { return {}; }
std::string KernelImage::source_line(uint64_t) const { return {}; }

}  // namespace kvmtape
