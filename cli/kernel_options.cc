#include "cli/kernel_options.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "analysis/session_context.h"
#include "cli/selection.h"
#include "cli/suggest.h"
#include "replayer/decode_context.h"

namespace kvmtape {
namespace {

constexpr std::array kArchitectures = {
    Architecture::kX86_64, Architecture::kI386,  Architecture::kAarch64,     Architecture::kRiscv64,
    Architecture::kS390x,  Architecture::kPpc64, Architecture::kLoongarch64, Architecture::kMips64};
constexpr std::string_view kUnknownWord = "unknown";
constexpr uint32_t kPageBytesMin = 4096;
constexpr uint32_t kPageBytesMax = 256 * 1024;  // CONFIG_PPC_256K_PAGES

Architecture architecture_of(const std::string& name, Console& console) {
  std::vector<std::string> names;
  for (const Architecture architecture : kArchitectures) {
    if (architecture_name(architecture) == name) return architecture;
    names.emplace_back(architecture_name(architecture));
  }
  if (name == kUnknownWord) return Architecture::kUnknown;
  const std::string near = nearest_name(name, names);
  console.warn(fmt::format(
      "--arch: nothing is known of '{}'{}; what depends on the architecture stays unknown", name,
      near.empty() ? fmt::format(", only of {}", fmt::join(names, ", "))
                   : ", did you mean " + near + "?"));
  return Architecture::kUnknown;
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

// The releases between whose headers every layout was compared (schema/abi/layouts.csv.zst). What
// changed before the first stands in the tables too; what changes after the last cannot.
void warn_of_range(const KernelVersion& version, const std::string& release, Console& console) {
  constexpr KernelVersion kOldest{4, 19}, kNewest{7, 3};
  const auto key = [](const KernelVersion& of) { return std::pair(of.major, of.minor); };
  if (key(version) > key(kNewest))
    console.warn(
        fmt::format("--kernel {}: newer than {}.{}, the last that this kvmtape knows; what "
                    "that one does is assumed",
                    release, kNewest.major, kNewest.minor));
  if (key(version) < key(kOldest))
    console.warn(
        fmt::format("--kernel {}: older than {}.{}, the first whose layouts were checked; "
                    "what later kernels kept is assumed",
                    release, kOldest.major, kOldest.minor));
}

}  // namespace

void KernelOptions::add_to(CLI::App& verb) {
  verb.add_option("--arch", architecture,
                  "of the kernel that wrote the bytes: x86_64 i386 aarch64 riscv64 s390x ppc64 "
                  "loongarch64 mips64; without it, x86_64");
  verb.add_option("--kernel", release, "its release, as uname -r says it, or unknown");
  verb.add_flag("--big-endian", big_endian, "its byte order is big (s390x: always)");
  verb.add_option("--page-bytes", page_bytes, "its page size");
  verb.add_option("--cap", capabilities,
                  "what it answered to KVM_CHECK_EXTENSION, NR=VALUE; repeatable")
      ->allow_extra_args(false);
}

Result<Session> KernelOptions::session(Console& console) const {
  Session session;
  session.architecture = architecture_of(architecture, console);
  const bool big = big_endian || session.architecture == Architecture::kS390x;
  session.byte_order = big ? ByteOrder::kBig : ByteOrder::kLittle;
  if (release != kUnknownWord) session.kernel_release = release;
  if (!session.kernel_release.empty() && !parse_kernel_release(release))
    console.warn(
        fmt::format("--kernel: nothing in '{}' says which release it is; what depends on "
                    "it stays unknown",
                    release));
  if (const auto version = parse_kernel_release(release)) warn_of_range(*version, release, console);
  const bool possible =
      std::has_single_bit(page_bytes) && page_bytes >= kPageBytesMin && page_bytes <= kPageBytesMax;
  if (page_bytes != 0 && !possible)
    console.warn(
        fmt::format("--page-bytes: no kernel has pages of {} bytes; it is not heeded", page_bytes));
  else
    session.page_bytes = page_bytes;
  for (const std::string& text : capabilities) {
    KVMTAPE_TRY_ASSIGN(const SessionCapability capability, capability_of(text));
    session.capabilities.push_back(capability);
  }
  return session;
}

}  // namespace kvmtape
