#include "analysis/session_context.h"

#include <algorithm>
#include <initializer_list>

namespace kvmtape {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::ranges::find(all, text) != all.end();
}

// Which of KVM's modules ran, by its parameters; where no module's were recorded, the one that the
// processor's vendor calls for. kvm.ko without either of its two is one from outside the kernel
// tree, whose exit reasons are its own.
X86Virtualization x86_virtualization_of(const Session& session) {
  bool kvm_is_known = false;
  std::string_view vendor;
  for (const auto& [name, value] : session.cpu_facts) {
    if (name.starts_with("kvm_intel.")) return X86Virtualization::kVmx;
    if (name.starts_with("kvm_amd.")) return X86Virtualization::kSvm;
    if (name.starts_with("kvm.")) kvm_is_known = true;
    if (name == "vendor_id") vendor = value;
  }
  if (kvm_is_known) return X86Virtualization::kUnknown;
  // Zhaoxin's and Centaur's processors have VMX, Hygon's SVM.
  if (is_one_of(vendor, {"GenuineIntel", "CentaurHauls", "Shanghai"}))
    return X86Virtualization::kVmx;
  if (is_one_of(vendor, {"AuthenticAMD", "HygonGenuine"})) return X86Virtualization::kSvm;
  return X86Virtualization::kUnknown;
}

}  // namespace

DecodeContext decode_context_of(const Session& session) {
  DecodeContext context;
  context.architecture = session.architecture;
  context.byte_order = session.byte_order;
  context.kernel = parse_kernel_release(session.kernel_release);
  context.kernel_version_text = session.kernel_version;
  context.page_bytes = session.page_bytes;
  context.abi_variant = session.abi_variant;
  context.x86_virtualization = x86_virtualization_of(session);
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
