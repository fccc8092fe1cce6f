#include "cli/kernel_options.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "analysis/session_context.h"
#include "cli/option_values.h"
#include "cli/selection.h"
#include "cli/suggest.h"
#include "replayer/decode_context.h"

namespace kvmtape {
namespace {

constexpr std::array kArchitectures = {
    Architecture::kX86_64, Architecture::kI386,  Architecture::kAarch64,     Architecture::kRiscv64,
    Architecture::kS390x,  Architecture::kPpc64, Architecture::kLoongarch64, Architecture::kMips64};
constexpr std::string_view kUnknownWord = "unknown";
// What Debian, Go, QEMU and the kernel's own arch/ call them.
constexpr std::array<std::pair<std::string_view, Architecture>, 9> kOtherNames = {{
    {"arm64", Architecture::kAarch64},
    {"amd64", Architecture::kX86_64},
    {"x86-64", Architecture::kX86_64},
    {"i686", Architecture::kI386},
    {"riscv", Architecture::kRiscv64},
    {"s390", Architecture::kS390x},
    {"ppc64le", Architecture::kPpc64},
    {"loongarch", Architecture::kLoongarch64},
    {"mips", Architecture::kMips64},
}};
// What the ABI tables were made from.
constexpr KernelVersion kOldestKernel{.major = 4, .minor = 6};
constexpr KernelVersion kNewestKernel{.major = 7, .minor = 3};
constexpr uint32_t kPageBytesMin = 4096;
constexpr uint32_t kPageBytesMax = 256 * 1024;  // CONFIG_PPC_256K_PAGES

std::vector<std::string> all_architecture_names() {
  std::vector<std::string> names;
  for (const Architecture architecture : kArchitectures)
    names.emplace_back(architecture_name(architecture));
  return names;
}

Architecture architecture_of(const std::string& name, Console& console) {
  const std::vector<std::string> names = all_architecture_names();
  for (const Architecture architecture : kArchitectures)
    if (architecture_name(architecture) == name) return architecture;
  for (const auto& [other_name, architecture] : kOtherNames)
    if (other_name == name) return architecture;
  if (name == kUnknownWord) return Architecture::kUnknown;
  const std::string near = nearest_name(name, names);
  console.warn(fmt::format(
      "--arch: nothing is known of '{}'{}; what depends on the architecture stays unknown", name,
      near.empty() ? fmt::format(", only of {}", fmt::join(names, ", "))
                   : ", did you mean " + near + "?"));
  return Architecture::kUnknown;
}

bool is_always_little(Architecture architecture) {
  return architecture == Architecture::kX86_64 || architecture == Architecture::kI386 ||
         architecture == Architecture::kRiscv64 || architecture == Architecture::kLoongarch64;
}

void warn_of_release(const std::string& release, Console& console) {
  const auto version = parse_kernel_release(release);
  if (!version)
    return console.warn(
        fmt::format("--kernel: nothing in '{}' says which release it is; what depends on "
                    "it stays unknown",
                    release));
  const auto number = std::pair(version->major, version->minor);
  if (number < std::pair(kOldestKernel.major, kOldestKernel.minor) ||
      number > std::pair(kNewestKernel.major, kNewestKernel.minor))
    console.warn(
        fmt::format("--kernel {}: what is known of kernels goes from {}.{} to {}.{}; what "
                    "differs in this one is not",
                    release, kOldestKernel.major, kOldestKernel.minor, kNewestKernel.major,
                    kNewestKernel.minor));
}

Result<SessionCapability> capability_of(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos)
    return Error{ErrorCode::kUsage, fmt::format("--cap {}: write NR=VALUE", text), {}, {}};
  KVMTAPE_TRY_ASSIGN(const uint64_t number, parse_number("--cap", text.substr(0, equals)));
  KVMTAPE_TRY_ASSIGN(const uint64_t value, parse_number("--cap", text.substr(equals + 1)));
  if (number > std::numeric_limits<uint32_t>::max() || value > std::numeric_limits<int32_t>::max())
    return Error{ErrorCode::kUsage, fmt::format("--cap {}: the number is too large", text), {}, {}};
  return SessionCapability{static_cast<uint32_t>(number), static_cast<int32_t>(value), false};
}

}  // namespace

void KernelOptions::add_to(CLI::App& verb) {
  verb.add_option("--arch", architecture,
                  "of the kernel that wrote the bytes: x86_64 i386 aarch64 riscv64 s390x ppc64 "
                  "loongarch64 mips64, or unknown; only a raw stream has a default: x86_64");
  verb.add_option("--kernel", release, "its release, as uname -r says it, or unknown");
  verb.add_flag("--big-endian", big_endian, "its byte order is big (s390x: always)");
  verb.add_option("--page-bytes", page_bytes, "its page size");
  verb.add_option("--cap", capabilities,
                  "what it answered to KVM_CHECK_EXTENSION, NR=VALUE; repeatable")
      ->allow_extra_args(false);
  verb.add_option("--cpu-vendor", cpu_vendor,
                  "of an x86 host, whose VMX or SVM numbers are then named: intel or amd")
      ->check(one_of({"intel", "amd"}));
}

Result<Session> KernelOptions::session(std::string_view default_architecture,
                                       Console& console) const {
  const std::string name = architecture.empty() ? std::string(default_architecture) : architecture;
  if (name.empty())
    return Error{ErrorCode::kUsage,
                 fmt::format("the bytes do not say whose kernel wrote them; write --arch with one "
                             "of {}, {}",
                             fmt::join(all_architecture_names(), ", "), kUnknownWord),
                 {},
                 {}};
  Session session;
  session.architecture = architecture_of(name, console);
  if (big_endian && is_always_little(session.architecture))
    return Error{ErrorCode::kUsage,
                 fmt::format("--big-endian does not go with --arch {}, which is little-endian",
                             architecture_name(session.architecture)),
                 {},
                 {}};
  const bool big = big_endian || session.architecture == Architecture::kS390x;
  session.byte_order = big ? ByteOrder::kBig : ByteOrder::kLittle;
  if (release != kUnknownWord) session.kernel_release = release;
  if (!session.kernel_release.empty()) warn_of_release(release, console);
  const bool possible =
      std::has_single_bit(page_bytes) && page_bytes >= kPageBytesMin && page_bytes <= kPageBytesMax;
  if (page_bytes != 0 && !possible)
    console.warn(
        fmt::format("--page-bytes: no kernel has pages of {} bytes; it is not heeded", page_bytes));
  else
    session.page_bytes = page_bytes;
  if (!cpu_vendor.empty())
    session.cpu_facts.emplace_back("vendor_id",
                                   cpu_vendor == "intel" ? "GenuineIntel" : "AuthenticAMD");
  for (const std::string& text : capabilities) {
    KVMTAPE_TRY_ASSIGN(const SessionCapability capability, capability_of(text));
    session.capabilities.push_back(capability);
  }
  return session;
}

}  // namespace kvmtape
