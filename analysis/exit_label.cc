#include "analysis/exit_label.h"

#include <fmt/format.h>

#include <cstring>

#include "replayer/exit_decoder.h"

namespace kvmtape {
namespace {

constexpr int32_t kEintr = 4;
constexpr int32_t kEfault = 14;
constexpr int32_t kEhwpoison = 133;

// Documentation/virt/kvm/api.rst, section 5: these two exits come with a failing KVM_RUN.
bool fails_on_purpose(uint32_t reason, int32_t error) {
  return (reason == 10 && error == kEintr) ||
         (reason == 39 && (error == kEfault || error == kEhwpoison));
}

}  // namespace

std::string errno_name(int32_t error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("{}", error) : name;
}

std::string exit_label(uint32_t reason, int32_t error) {
  if (error != 0 && !fails_on_purpose(reason, error)) return "KVM_RUN " + errno_name(error);
  const std::string_view name = exit_reason_name(reason);
  return name.empty() ? fmt::format("KVM_EXIT_{}", reason) : std::string(name);
}

}  // namespace kvmtape
