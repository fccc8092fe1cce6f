#include "replayer/struct_rules.h"

namespace kvmtape {
namespace {

bool is(const Field& field, std::string_view prefix, std::string_view name) {
  return field.name.size() == prefix.size() + name.size() && field.name.starts_with(prefix) &&
         field.name.ends_with(name);
}

uint64_t value_of(std::span<const Field> fields, std::string_view prefix, std::string_view name) {
  for (const Field& field : fields)
    if (is(field, prefix, name) && field.validity == Validity::kValid) return field.value;
  return 0;
}

void mark_stale(Field& field, std::string_view why) {
  if (field.validity != Validity::kValid) return;
  field.validity = Validity::kStale;
  field.why = why;
}

// x86: kvm_vcpu_ioctl_x86_get_vcpu_events sets in flags what it reports.
struct EventFlag {
  std::string_view name;
  uint64_t flag;
  std::string_view why;
};
constexpr EventFlag kEventFlags[] = {
    {"nmi.pending", 0x01, "KVM_VCPUEVENT_VALID_NMI_PENDING is not set"},
    {"sipi_vector", 0x02, "KVM_VCPUEVENT_VALID_SIPI_VECTOR is not set"},
    {"interrupt.shadow", 0x04, "KVM_VCPUEVENT_VALID_SHADOW is not set"},
    {"smi.smm", 0x08, "KVM_VCPUEVENT_VALID_SMM is not set"},
    {"smi.pending", 0x08, "KVM_VCPUEVENT_VALID_SMM is not set"},
    {"smi.smm_inside_nmi", 0x08, "KVM_VCPUEVENT_VALID_SMM is not set"},
    {"smi.latched_init", 0x08, "KVM_VCPUEVENT_VALID_SMM is not set"},
    {"exception_has_payload", 0x10, "KVM_VCPUEVENT_VALID_PAYLOAD is not set"},
    {"exception_payload", 0x10, "KVM_VCPUEVENT_VALID_PAYLOAD is not set"},
    {"triple_fault.pending", 0x20, "KVM_VCPUEVENT_VALID_TRIPLE_FAULT is not set"},
};

struct SyncBit {
  std::string_view name;  // "regs." stands for all that begin so
  uint64_t bits;
};
constexpr SyncBit kSyncBitsX86[] = {{"regs.", 1}, {"sregs.", 2}, {"events.", 4}};
// KVM_SYNC_* of arch/s390/include/uapi/asm/kvm.h; fpc comes with either kind of floating point.
constexpr SyncBit kSyncBitsS390[] = {
    {"prefix", 0x1},    {"gprs", 0x2},   {"acrs", 0x4},     {"crs", 0x8},
    {"todpr", 0x10},    {"cputm", 0x10}, {"ckc", 0x10},     {"pp", 0x10},
    {"gbea", 0x10},     {"pft", 0x20},   {"pfs", 0x20},     {"pfc", 0x20},
    {"vrs", 0x40},      {"riccb", 0x80}, {"fprs", 0x100},   {"fpc", 0x140},
    {"gscb", 0x200},    {"bpbc", 0x400}, {"etoken", 0x800}, {"etoken_extension", 0x800},
    {"diag318", 0x1000}};

bool covers(const SyncBit& bit, std::string_view name) {
  return bit.name.ends_with('.') ? name.starts_with(bit.name) : name == bit.name;
}

}  // namespace

void judge_vcpu_events(std::span<Field> fields, std::string_view prefix) {
  const uint64_t flags = value_of(fields, prefix, "flags");
  const bool pending = value_of(fields, prefix, "exception.serror_pending") != 0;
  const bool serror_has_esr = value_of(fields, prefix, "exception.serror_has_esr") != 0;
  const bool abort_has_esr = value_of(fields, prefix, "exception.ext_abt_has_esr") != 0;
  for (Field& field : fields) {
    for (const EventFlag& event : kEventFlags)
      if (is(field, prefix, event.name) && (flags & event.flag) == 0) mark_stale(field, event.why);
    if (is(field, prefix, "exception.serror_esr") && !(pending && serror_has_esr))
      mark_stale(field, "no SError with an ESR is pending");
    if (is(field, prefix, "exception.ext_abt_esr") && !abort_has_esr)
      mark_stale(field, "ext_abt_has_esr is not set");
  }
}

void judge_guest_debug(std::span<Field> fields, Architecture architecture) {
  // KVM_GUESTDBG_USE_HW_BP (x86), USE_HW (arm64), USE_HW_BP (ppc); s390 has another bit for it.
  const uint64_t hardware = architecture == Architecture::kS390x ? 0x10000 : 0x20000;
  if ((value_of(fields, {}, "control") & hardware) != 0) return;
  for (Field& field : fields)
    if (field.name.starts_with("arch."))
      mark_stale(field, "control does not ask for hardware breakpoints: KVM does not read it");
}

void judge_sync_regs(std::span<Field> fields, Architecture architecture, uint64_t valid_regs) {
  if (architecture == Architecture::kAarch64) {
    for (Field& field : fields) {
      field.validity = Validity::kUnknown;
      field.why = "written only with an interrupt controller in user space";
    }
    return;
  }
  const std::span<const SyncBit> bits = architecture == Architecture::kS390x
                                            ? std::span<const SyncBit>(kSyncBitsS390)
                                            : std::span<const SyncBit>(kSyncBitsX86);
  uint64_t known = 0;
  for (const SyncBit& bit : bits) known |= bit.bits;
  for (Field& field : fields) {
    // kvm_arch_vcpu_ioctl_run of either refuses with EINVAL what is not in KVM_SYNC_*_VALID_FIELDS.
    if ((valid_regs & ~known) != 0 && field.validity == Validity::kValid) {
      field.validity = Validity::kUnknown;
      field.why =
          "kvm_valid_regs has bits that KVM_RUN refuses: nothing was stored, or they are new";
    }
    for (const SyncBit& bit : bits)
      if (covers(bit, field.name) && (valid_regs & bit.bits) == 0)
        mark_stale(field, "not asked for in kvm_valid_regs");
  }
  if (architecture != Architecture::kS390x) judge_vcpu_events(fields, "events.");
}

}  // namespace kvmtape
