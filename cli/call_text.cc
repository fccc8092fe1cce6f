#include "cli/call_text.h"

#include <fmt/format.h>

#include <string_view>

#include "analysis/capability_names.h"
#include "analysis/exit_label.h"
#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

std::string descriptor_text(const ControlCall& call) {
  switch (call.descriptor) {
    case DescriptorKind::kSystem:
      return "/dev/kvm";
    case DescriptorKind::kVm:
      return "VM";
    case DescriptorKind::kVcpu:
      return fmt::format("vCPU {}", call.vcpu_id);
    case DescriptorKind::kDevice:
      return "device";
  }
  return "?";
}

std::string capability_text(uint64_t number) {
  const std::string_view name =
      number > UINT32_MAX ? std::string_view() : capability_name(static_cast<uint32_t>(number));
  return name.empty() ? fmt::format("{}", number) : std::string(name);
}

// Members stand where include/uapi/linux/kvm.h of Linux 6.18 has them; none has ever moved.
std::string argument_text(std::string_view name, const ControlCall& call, ByteOrder order) {
  if (call.argument && name == "KVM_CHECK_EXTENSION") return capability_text(*call.argument);
  if (call.argument && (name == "KVM_CREATE_VCPU" || name == "KVM_CREATE_VM"))
    return fmt::format("{}", *call.argument);
  ByteCursor in(call.in, order);
  std::string text;
  if (name == "KVM_ENABLE_CAP") {
    text = capability_text(in.read<uint32_t>());
    in.skip(4);
    const auto value = in.read<uint64_t>();
    text += fmt::format(", {:#x}", value);
  } else if (name == "KVM_SET_ONE_REG" || name == "KVM_GET_ONE_REG") {
    text = fmt::format("id {:#x}", in.read<uint64_t>());
  } else if (name == "KVM_SET_GUEST_DEBUG") {
    text = fmt::format("control {:#x}", in.read<uint32_t>());
  } else if (name == "KVM_SET_USER_MEMORY_REGION" || name == "KVM_SET_USER_MEMORY_REGION2") {
    const auto slot = in.read<uint32_t>();
    const auto flags = in.read<uint32_t>();
    const auto guest = in.read<uint64_t>();
    const auto bytes = in.read<uint64_t>();
    text = fmt::format("slot {}, flags {:#x}, {:#x} bytes at {:#x}", slot, flags, bytes, guest);
  }
  if (!text.empty() && in.ok()) return text;
  return call.argument ? fmt::format("{:#x}", *call.argument) : "redacted";
}

}  // namespace

CallText text_of_call(Architecture architecture, ByteOrder order, const ControlCall& call) {
  const std::string_view name = abi::ioctl_name(architecture, call.request);
  const std::string outcome = call.error != 0
                                  ? "refused, " + errno_name(static_cast<int32_t>(call.error))
                                  : fmt::format("{}", call.result);
  return {fmt::format("{}({}) on {}: {}",
                      name.empty() ? fmt::format("ioctl {:#x}", call.request) : std::string(name),
                      argument_text(name, call, order), descriptor_text(call), outcome),
          call.error != 0};
}

}  // namespace kvmtape
