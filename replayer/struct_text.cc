#include "replayer/struct_text.h"

#include <algorithm>
#include <cstdint>

#include "replayer/arch_names/named_value.h"
#include "replayer/arch_names/x86_debug.h"
#include "replayer/arch_names/x86_registers.h"
#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

// By bit number. arch/*/include/uapi/asm/kvm.h and include/uapi/linux/kvm.h of 7.3.
constexpr NamedValue kShownEventFlags[] = {
    {0, "KVM_VCPUEVENT_VALID_NMI_PENDING"}, {1, "KVM_VCPUEVENT_VALID_SIPI_VECTOR"},
    {2, "KVM_VCPUEVENT_VALID_SHADOW"},      {3, "KVM_VCPUEVENT_VALID_SMM"},
    {4, "KVM_VCPUEVENT_VALID_PAYLOAD"},     {5, "KVM_VCPUEVENT_VALID_TRIPLE_FAULT"},
};
constexpr NamedValue kShadows[] = {{0, "KVM_X86_SHADOW_INT_MOV_SS"}, {1, "KVM_X86_SHADOW_INT_STI"}};
constexpr NamedValue kControlX86[] = {
    {0, "KVM_GUESTDBG_ENABLE"},     {1, "KVM_GUESTDBG_SINGLESTEP"}, {16, "KVM_GUESTDBG_USE_SW_BP"},
    {17, "KVM_GUESTDBG_USE_HW_BP"}, {18, "KVM_GUESTDBG_INJECT_DB"}, {19, "KVM_GUESTDBG_INJECT_BP"},
    {20, "KVM_GUESTDBG_BLOCKIRQ"},
};
constexpr NamedValue kControlArm64[] = {
    {0, "KVM_GUESTDBG_ENABLE"},
    {1, "KVM_GUESTDBG_SINGLESTEP"},
    {16, "KVM_GUESTDBG_USE_SW_BP"},
    {17, "KVM_GUESTDBG_USE_HW"},
};
constexpr NamedValue kControlPpc[] = {
    {0, "KVM_GUESTDBG_ENABLE"},
    {1, "KVM_GUESTDBG_SINGLESTEP"},
    {16, "KVM_GUESTDBG_USE_SW_BP"},
    {17, "KVM_GUESTDBG_USE_HW_BP"},
};
constexpr NamedValue kControlS390[] = {
    {0, "KVM_GUESTDBG_ENABLE"},
    {1, "KVM_GUESTDBG_SINGLESTEP"},
    {16, "KVM_GUESTDBG_USE_HW_BP"},
};
constexpr NamedValue kControlLoongarch[] = {
    {0, "KVM_GUESTDBG_ENABLE"}, {1, "KVM_GUESTDBG_SINGLESTEP"}, {16, "KVM_GUESTDBG_USE_SW_BP"}};
constexpr NamedValue kControlPlain[] = {{0, "KVM_GUESTDBG_ENABLE"}, {1, "KVM_GUESTDBG_SINGLESTEP"}};
static_assert(strictly_rising(kShownEventFlags) && strictly_rising(kShadows) &&
              strictly_rising(kControlX86) && strictly_rising(kControlArm64) &&
              strictly_rising(kControlPpc) && strictly_rising(kControlS390) &&
              strictly_rising(kControlLoongarch) && strictly_rising(kControlPlain));

bool is_x86(Architecture architecture) {
  return architecture == Architecture::kX86_64 || architecture == Architecture::kI386;
}

NamedValues control_bits(Architecture architecture) {
  switch (architecture) {
    case Architecture::kX86_64:
    case Architecture::kI386:
      return kControlX86;
    case Architecture::kAarch64:
      return kControlArm64;
    case Architecture::kPpc64:
      return kControlPpc;
    case Architecture::kS390x:
      return kControlS390;
    case Architecture::kLoongarch64:
      return kControlLoongarch;
    default:
      return kControlPlain;
  }
}

std::string events_text(std::string_view name, uint64_t value) {
  if (name == "flags") return bit_names(kShownEventFlags, value);
  if (name == "interrupt.shadow") return bit_names(kShadows, value);
  return {};
}

std::string debugregs_text(std::string_view name, uint64_t value) {
  if (name == "dr6") return dr6_text(value);
  if (name == "dr7") return dr7_text(value);
  return {};
}

std::string sregs_text(std::string_view name, uint64_t value) {
  if (name == "cr0") return cr0_text(value);
  if (name == "cr4") return cr4_text(value);
  if (name == "efer") return efer_text(value);
  return {};
}

std::string guest_debug_text(Architecture architecture, const Field& field) {
  if (field.name == "control") return bit_names(control_bits(architecture), field.value);
  constexpr int kDr7 = 7;  // kvm_arch_vcpu_ioctl_set_guest_debug in x86.c
  if (field.name == "arch.debugreg" && field.element == kDr7) return dr7_text(field.value);
  return {};
}

}  // namespace

std::string struct_field_text(Architecture architecture, std::string_view structure,
                              const Field& field) {
  if (field.validity != Validity::kValid || field.kind == FieldKind::kBytes) return {};
  if (structure == "kvm_guest_debug") return guest_debug_text(architecture, field);
  if (!is_x86(architecture)) return {};
  std::string_view name = field.name;
  if (structure == "kvm_sync_regs") {
    const size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    structure = part == "regs" ? "kvm_regs" : part == "sregs" ? "kvm_sregs" : "kvm_vcpu_events";
    name.remove_prefix(dot == name.npos ? 0 : dot + 1);
  }
  if (structure == "kvm_vcpu_events") return events_text(name, field.value);
  if (structure == "kvm_debugregs") return debugregs_text(name, field.value);
  if (structure == "kvm_sregs") return sregs_text(name, field.value);
  if (structure == "kvm_regs" && name == "rflags") return eflags_text(field.value);
  return {};
}

std::optional<size_t> struct_bytes(Architecture architecture, std::string_view structure) {
  // Of those that end in reserved or alignment bytes, as compiled (schema/abi/layouts.csv.zst).
  constexpr size_t kArm64RegsBytes = 864;  // fp_regs are aligned to 16
  constexpr size_t kAlignment = sizeof(uint64_t);
  size_t end = 0;
  for (const abi::StructField& row : abi::struct_fields()) {
    if (row.structure != structure || !row.variant.empty()) continue;
    if ((row.field.architectures & abi::mask_of(architecture)) == 0) continue;
    end = std::max(end, size_t{row.field.offset} + row.field.element_bytes * row.field.elements);
  }
  if (end == 0) return std::nullopt;
  if (structure == "kvm_vcpu_events") return 64;
  if (structure == "kvm_debugregs") return 128;
  if (structure == "kvm_regs" && architecture == Architecture::kAarch64) return kArm64RegsBytes;
  return (end + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace kvmtape
