// The kernel's layouts as rows: which exit has which fields, at which offset, on which
// architectures, since which release, and where that is known from. All of it is constant data,
// generated from the CSV files in this folder (README.md says where those come from); readable from
// any thread, never freed.
//
// Rows say where a field lies, not whether its content may be believed: that is replayer/arch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "schema/trace_format.h"

namespace kvmtape::abi {

// A bit per Architecture.
using ArchitectureMask = uint16_t;
// 0 of one that we do not know: a trace may name any.
constexpr ArchitectureMask mask_of(Architecture architecture) {
  const auto bit = static_cast<unsigned>(architecture);
  return static_cast<ArchitectureMask>(bit < 16 ? 1u << bit : 0);
}

// An upstream release in which something came or went; 0: it was always there, or never went.
using Release = uint16_t;
constexpr Release release(unsigned major, unsigned minor) {
  return static_cast<Release>(major << 8 | minor);
}
constexpr unsigned major_of(Release release) { return release >> 8; }
constexpr unsigned minor_of(Release release) { return release & 0xff; }

enum class FieldForm : uint8_t {
  kInteger,  // `elements` integers of `element_bytes`
  kBytes,    // a byte string, or `elements` of them
  kTopBit,   // a bit-field of one bit: big-endian architectures allocate from the top
  kPadding,  // there only to be compared with the headers
};

struct AbiField {
  std::string_view name;  // of a union member, member first: "mmio.phys_addr"
  uint16_t offset;        // inside the union, the header or the struct
  uint16_t element_bytes;
  uint16_t elements;
  FieldForm form;
  ArchitectureMask architectures;
  Release since;
  Release until;  // the last release that has it
  std::string_view source;
};

struct ExitReason {
  uint32_t number;
  std::string_view name;    // "KVM_EXIT_MMIO"
  std::string_view member;  // of kvm_run's union; empty: no payload
  ArchitectureMask architectures;
  Release since;
  std::string_view source;
};

struct MemberField {
  std::string_view member;
  AbiField field;
};

struct StructField {
  std::string_view structure;  // "kvm_vcpu_events"
  std::string_view variant;    // of a layout that no release has; empty: mainline
  AbiField field;
};

// Names `value` of the bits `mask` of kvm_run.flags.
struct FlagName {
  ArchitectureMask architectures;
  uint16_t mask;
  uint16_t value;
  std::string_view name;
  Release since;
  std::string_view source;
};

// Names one value of the field `field`.
struct ValueName {
  std::string_view field;
  ArchitectureMask architectures;
  uint64_t value;
  std::string_view name;
  std::string_view source;
};

// A register of KVM_GET_ONE_REG, arm64.
struct OneRegister {
  uint64_t id;
  std::string_view name;
  std::string_view source;
};

// A request of ioctl on one of KVM's descriptors; its number holds the size of its struct, and
// which way that goes, so that it differs between architectures.
struct Ioctl {
  uint32_t number;
  std::string_view name;
  ArchitectureMask architectures;
};

std::span<const ExitReason> exit_reasons();  // by number, without holes
std::span<const MemberField> member_fields();
std::span<const AbiField> header_fields();
std::span<const StructField> struct_fields();
std::span<const FlagName> flag_names();
std::span<const ValueName> value_names();
std::span<const OneRegister> one_registers();  // by id

std::span<const Ioctl> ioctls();

// "KVM_CREATE_VM"; empty: none that is known.
std::string_view ioctl_name(Architecture architecture, uint32_t number);
// nullptr: a reason that came after this build.
const ExitReason* find_exit_reason(uint32_t number);

// Where kvm_run's union, its sync area (kvm_valid_regs) and struct s begin:
// include/uapi/linux/kvm.h, where s390 alone has psw_mask and psw_addr before the union.
constexpr uint16_t union_offset(Architecture architecture) {
  return architecture == Architecture::kS390x ? 48 : 32;
}
constexpr uint16_t sync_offset(Architecture architecture) {
  return static_cast<uint16_t>(union_offset(architecture) + 256);
}
constexpr uint16_t sync_regs_offset(Architecture architecture) {
  return static_cast<uint16_t>(sync_offset(architecture) + 16);
}

}  // namespace kvmtape::abi
