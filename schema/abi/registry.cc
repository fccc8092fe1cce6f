#include "schema/abi/registry.h"

namespace kvmtape::abi {
namespace {

#include "schema/abi/tables.inc"

}  // namespace

std::span<const ExitReason> exit_reasons() { return kExitReasons; }
std::span<const MemberField> member_fields() { return kMemberFields; }
std::span<const AbiField> header_fields() { return kHeaderFields; }
std::span<const StructField> struct_fields() { return kStructFields; }
std::span<const FlagName> flag_names() { return kFlagNames; }
std::span<const ValueName> value_names() { return kValueNames; }
std::span<const OneRegister> one_registers() { return kOneRegisters; }
std::span<const Ioctl> ioctls() { return kIoctls; }

std::string_view ioctl_name(Architecture architecture, uint32_t number) {
  for (const Ioctl& ioctl : kIoctls)
    if (ioctl.number == number && (ioctl.architectures & mask_of(architecture)) != 0)
      return ioctl.name;
  return {};
}

const ExitReason* find_exit_reason(uint32_t number) {
  return number < exit_reasons().size() ? &kExitReasons[number] : nullptr;
}

}  // namespace kvmtape::abi
