#include "analysis/session_context.h"

#include <algorithm>

namespace kvmtape {

DecodeContext decode_context_of(const Session& session) {
  DecodeContext context;
  context.architecture = session.architecture;
  context.byte_order = session.byte_order;
  context.kernel = parse_kernel_release(session.kernel_release);
  context.kernel_version_text = session.kernel_version;
  context.page_bytes = session.page_bytes;
  context.abi_variant = session.abi_variant;
  // A profile that came after this build removes we do not know what.
  context.redaction = parse_redaction(session.redaction).value_or(RedactionProfile::kStrict);
  context.ret_recorded = std::ranges::find(session.left_out, kLeftOutRet) == session.left_out.end();
  // The VM's own answer beats that of /dev/kvm.
  for (const SessionCapability& capability : session.capabilities)
    if (capability.system_wide)
      context.capabilities.try_emplace(capability.number, capability.value);
    else
      context.capabilities[capability.number] = capability.value;
  return context;
}

std::string_view architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::kUnknown:
      return "unknown";
    case Architecture::kX86_64:
      return "x86_64";
    case Architecture::kI386:
      return "i386";
    case Architecture::kAarch64:
      return "aarch64";
    case Architecture::kRiscv64:
      return "riscv64";
    case Architecture::kS390x:
      return "s390x";
    case Architecture::kPpc64:
      return "ppc64";
    case Architecture::kLoongarch64:
      return "loongarch64";
    case Architecture::kMips64:
      return "mips64";
  }
  return "unknown";
}

}  // namespace kvmtape
