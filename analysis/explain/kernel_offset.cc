#include "analysis/explain/kernel_offset.h"

#include <algorithm>
#include <set>
#include <vector>

#include "analysis/explain/x86_state.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

// CONFIG_PHYSICAL_ALIGN's least on x86-64, and EFI_KIMG_ALIGN of arm64
// (arch/arm64/include/asm/efi.h): KASLR moves a kernel by multiples of these.
constexpr uint64_t kX86Step = 0x200000;
constexpr uint64_t kArm64Step = 0x10000;
constexpr uint64_t kKernelHalf = uint64_t{1} << 63;
constexpr size_t kAnchorsMax = 16;
// So few bytes of code are alike by chance; so few words stand behind a call by chance.
constexpr size_t kCodeMin = 12;
constexpr size_t kReturnsMin = 3;

std::span<const uint8_t> bytes_at(const KernelImage& image, uint64_t address) {
  for (const KernelImage::Code& code : image.code())
    if (address - code.address < code.bytes.size())
      return code.bytes.subspan(static_cast<size_t>(address - code.address));
  return {};
}

// Intel SDM vol. 2, CALL: E8 rel32, or FF /2 of 2 to 7 bytes.
bool is_behind_x86_call(const KernelImage& image, uint64_t address) {
  if (const auto near = bytes_at(image, address - 5); near.size() >= 5 && near[0] == 0xe8)
    return true;
  for (const uint64_t length : {2, 3, 6, 7}) {
    const auto bytes = bytes_at(image, address - length);
    if (bytes.size() >= length && bytes[0] == 0xff && (bytes[1] >> 3 & 7) == 2) return true;
  }
  return false;
}

// Arm ARM, C6.2: BL and BLR.
bool is_behind_arm64_call(const KernelImage& image, uint64_t address) {
  const auto bytes = bytes_at(image, address - 4);
  if (bytes.size() < 4) return false;
  const auto instruction = load_le<uint32_t>(bytes.data());
  return (instruction & 0xfc000000) == 0x94000000 || (instruction & 0xfffffc1f) == 0xd63f0000;
}

class Search {
 public:
  Search(const Case& all, const KernelImage& image)
      : all_(all), image_(image), step_(all.is_arm64() ? kArm64Step : kX86Step) {
    pc_ = all.is_arm64() ? all.at_crash.get("PC") : x86_linear_ip(all.at_crash);
    if (pc_ && *pc_ < kKernelHalf) pc_.reset();
    for (const MemorySlice& slice : all.crash->memory) {
      const auto of = static_cast<MemorySliceOf>(slice.record.of);
      if (of == MemorySliceOf::kInstruction) code_ = slice.bytes;
      if (of != MemorySliceOf::kStack) continue;
      ByteCursor cursor(slice.bytes, all.context.byte_order);
      while (cursor.remaining() >= sizeof(uint64_t)) {
        const auto word = cursor.read<uint64_t>();
        if (word >= kKernelHalf) words_.push_back(word);
      }
    }
  }

  std::optional<KernelOffset> best() const {
    std::optional<KernelOffset> found;
    bool is_only = false;
    for (const uint64_t offset : candidates()) {
      const KernelOffset fit = fit_of(offset);
      if (fit.code_bytes < kCodeMin && fit.return_addresses < kReturnsMin) continue;
      const size_t weight = weight_of(fit), best = found ? weight_of(*found) : 0;
      if (weight == best) is_only = false;
      if (weight <= best) continue;
      found = fit;
      is_only = true;
    }
    return is_only ? found : std::nullopt;
  }

 private:
  static size_t weight_of(const KernelOffset& fit) {
    return fit.code_bytes + kCodeMin * fit.return_addresses;
  }

  // Every offset that puts an address of the crash into vmlinux's code.
  std::set<uint64_t> candidates() const {
    std::vector<uint64_t> anchors;
    if (pc_) anchors.push_back(*pc_);
    for (const uint64_t word : words_)
      if (anchors.size() < kAnchorsMax) anchors.push_back(word);
    std::set<uint64_t> offsets;
    for (const uint64_t anchor : anchors)
      for (const KernelImage::Code& code : image_.code()) {
        const uint64_t end = code.address + code.bytes.size();
        for (uint64_t at = code.address + (anchor - code.address) % step_; at < end; at += step_)
          offsets.insert(anchor - at);
      }
    return offsets;
  }

  KernelOffset fit_of(uint64_t offset) const {
    KernelOffset fit{offset, 0, 0};
    if (pc_) {
      const auto built = bytes_at(image_, *pc_ - offset);
      const size_t most = std::min(built.size(), code_.size());
      fit.code_bytes = static_cast<size_t>(
          std::mismatch(code_.begin(), code_.begin() + static_cast<ptrdiff_t>(most), built.begin())
              .first -
          code_.begin());
    }
    const auto is_return = [&](uint64_t word) {
      return all_.is_arm64() ? is_behind_arm64_call(image_, word - offset)
                             : is_behind_x86_call(image_, word - offset);
    };
    fit.return_addresses = static_cast<size_t>(std::ranges::count_if(words_, is_return));
    return fit;
  }

  const Case& all_;
  const KernelImage& image_;
  const uint64_t step_;
  std::optional<uint64_t> pc_;
  std::span<const uint8_t> code_;
  std::vector<uint64_t> words_;  // of the stack, of the kernel's half
};

}  // namespace

std::optional<KernelOffset> find_kernel_offset(const Case& all, const KernelImage& image) {
  if (all.crash == nullptr || !(all.is_arm64() || all.is_x86())) return std::nullopt;
  return Search(all, image).best();
}

}  // namespace kvmtape
