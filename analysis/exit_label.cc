#include "analysis/exit_label.h"

#include <fmt/format.h>

#include <cstring>

#include "replayer/exit_decoder.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
std::string errno_name(int32_t error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("{}", error) : name;
}

// Documentation/virt/kvm/api.rst, section 5: these two exits come with a failing KVM_RUN.
bool reports_exit(uint32_t reason, int32_t error) {
  return error == 0 || (reason == kExitIntr && error == kErrorIntr) ||
         (reason == kExitMemoryFault && (error == kErrorFault || error == kErrorHwPoison));
}

std::string exit_label(uint32_t reason, int32_t error) {
  if (!reports_exit(reason, error)) return "KVM_RUN " + errno_name(error);
  const std::string_view name = exit_reason_name(reason);
  return name.empty() ? fmt::format("KVM_EXIT_{}", reason) : std::string(name);
}

}  // namespace kvmtape
