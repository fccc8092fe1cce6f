#include "replayer/kernel_facts.h"

#include <charconv>
#include <string>
#include <utility>

namespace kvmtape {
namespace {

constexpr uint32_t kCapSystemEventData = 215;
constexpr uint32_t kCapMemoryFaultInfo = 232;

// In uname -v distributions name the stable release that they were built from: "... Debian
// 6.1.192-2 (2026-..)".
std::optional<uint32_t> patch_in(std::string_view text, const KernelVersion& version) {
  const std::string prefix =
      std::to_string(version.major) + "." + std::to_string(version.minor) + ".";
  const size_t found = text.find(prefix);
  if (found == std::string_view::npos) return std::nullopt;
  const char* from = text.data() + found + prefix.size();
  uint32_t patch = 0;
  if (std::from_chars(from, text.data() + text.size(), patch).ec != std::errc{})
    return std::nullopt;
  return patch;
}

std::optional<uint32_t> find_stable_patch(const DecodeContext& context) {
  if (!context.kernel) return std::nullopt;
  if (context.kernel->patch != 0) return context.kernel->patch;
  return patch_in(context.kernel_version_text, *context.kernel);
}

// arm64, riscv and loongarch write KVM_EXIT_UNKNOWN before they enter the guest since their KVM is
// in the tree (5.10, 6.1 and 6.12 kvm_arch_vcpu_ioctl_run). x86 does since ee605e315633 (6.8), of
// the series that brought KVM_CAP_MEMORY_FAULT_INFO. s390, ppc and mips do not.
Known find_resets_exit_reason(const KernelFacts& kernel) {
  switch (kernel.context.architecture) {
    case Architecture::kAarch64:
    case Architecture::kRiscv64:
    case Architecture::kLoongarch64:
      return Known::kYes;
    case Architecture::kX86_64:
    case Architecture::kI386:
      return kernel.since(kCapMemoryFaultInfo, 6, 8);
    case Architecture::kS390x:
      return Known::kNo;
    case Architecture::kPpc64:
    case Architecture::kMips64:
    case Architecture::kUnknown:
      break;
  }
  return Known::kMaybe;
}

// 811154e234db, in 6.4, 6.3.7 and 6.1.33. Before it the value is the last stage-2 fault's.
Known find_watchpoint_far(const KernelFacts& kernel) {
  const Known fixed = kernel.since(6, 4);
  if (fixed != Known::kNo) return fixed;
  const KernelVersion& version = *kernel.context.kernel;
  if (version.major != 6 || (version.minor != 1 && version.minor != 3)) return Known::kNo;
  if (!kernel.stable_patch) return Known::kMaybe;
  return *kernel.stable_patch >= (version.minor == 1 ? 33 : 7) ? Known::kYes : Known::kNo;
}

template <typename Choose>
uint16_t flag_bits(const KernelFacts& kernel, Choose is_chosen) {
  const abi::ArchitectureMask ours = abi::mask_of(kernel.context.architecture);
  unsigned bits = 0;
  for (const abi::FlagName& flag : abi::flag_names())
    if ((flag.architectures & ours) != 0 && is_chosen(flag)) bits |= flag.mask;
  return static_cast<uint16_t>(bits);
}

}  // namespace

KernelFacts::KernelFacts(DecodeContext decode_context)
    : context(std::move(decode_context)),
      union_offset(abi::union_offset(context.architecture)),
      stable_patch(find_stable_patch(context)),
      resets_exit_reason(find_resets_exit_reason(*this)),
      system_event_ndata(since(kCapSystemEventData, 5, 18)),
      flags_of_any(flag_bits(*this, [](const abi::FlagName&) { return true; })),
      flags_of_this(flag_bits(
          *this, [this](const abi::FlagName& flag) { return since(flag.since) != Known::kNo; })),
      watchpoint_far(find_watchpoint_far(*this)) {}

Known KernelFacts::since(uint32_t major, uint32_t minor) const {
  constexpr uint32_t kOldestMajor = 4, kOldestMinor = 6;  // that this project reads
  if (!context.kernel) {
    const bool always = major < kOldestMajor || (major == kOldestMajor && minor <= kOldestMinor);
    return always ? Known::kYes : Known::kMaybe;
  }
  const KernelVersion& version = *context.kernel;
  if (version.at_least(major, minor)) return Known::kYes;
  const bool candidate = version.major == major && version.minor == minor;
  return candidate || version.rebased ? Known::kMaybe : Known::kNo;
}

Known KernelFacts::since(uint32_t capability, uint32_t major, uint32_t minor) const {
  if (auto answer = context.capability(capability)) return *answer > 0 ? Known::kYes : Known::kNo;
  return since(major, minor);
}

bool KernelFacts::is_x86() const {
  return context.architecture == Architecture::kX86_64 ||
         context.architecture == Architecture::kI386;
}

}  // namespace kvmtape
