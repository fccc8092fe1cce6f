#include "replayer/one_register.h"

#include <algorithm>

#include "replayer/kernel_facts.h"
#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

std::string_view name_of_register(uint64_t id) {
  const auto all = abi::one_registers();
  auto found = std::lower_bound(
      all.begin(), all.end(), id,
      [](const abi::OneRegister& row, uint64_t wanted) { return row.id < wanted; });
  return found != all.end() && found->id == id ? found->name : std::string_view{};
}

// d42e26716d03 and 7dabf02f43a1 (5.18): stored and emulated; before, OSLAR_EL1 is ignored.
void judge_oslsr(const KernelFacts& kernel, OneRegisterValue& shown) {
  switch (kernel.since(5, 18)) {
    case Known::kYes:
      shown.note = "the OS Lock is emulated; it is free after reset, unlike on hardware";
      return;
    case Known::kNo:
      shown.validity = Validity::kUnknown;
      shown.why = "kernels before 5.18 have no such register to get, and ignore the OS Lock";
      return;
    case Known::kMaybe:
      shown.note = "kernels before 5.18 ignore the OS Lock, later ones emulate it";
      return;
  }
}

// RX and TX, bits 29 and 30, are all it has (Arm ARM). Under QEMU 7.2, which does not implement it,
// a read leaves a general register as it was: kernels from 5.10 to 7.2 were seen to hand that on, a
// pointer of the kernel's at times. 5.10 gives nothing to tell which is which.
void judge_mdccint(const KernelFacts& kernel, uint64_t value, OneRegisterValue& shown) {
  constexpr uint64_t kBits = 3u << 29;
  if ((value & ~kBits) != 0) {
    shown.validity = Validity::kUnknown;
    shown.why = "bits that it does not have: what the kernel's own register held, not shown";
  } else if (kernel.since(6, 1) != Known::kYes) {
    shown.validity = Validity::kUnknown;
    shown.why = "kernels before 6.1 may answer with what their own register held: not shown";
  }
}

// DebugVer is bits 3:0, DoubleLock bits 39:36.
void judge_dfr0(const KernelFacts& kernel, OneRegisterValue& shown) {
  if (kernel.since(6, 7) == Known::kYes)
    shown.note =
        "DebugVer is limited to 8 (v8p8) and the monitor may have written it; no double "
        "lock is emulated";
  else if (kernel.since(6, 1) == Known::kYes)
    shown.note =
        "DebugVer is limited to 6 (v8.0), whatever the hardware has; no double "
        "lock is emulated";
  else if (kernel.since(5, 12) == Known::kYes)
    shown.note = "DebugVer is the hardware's or limited to 6 (v8.0); no double lock is emulated";
  else
    shown.note = "DebugVer and DoubleLock are the hardware's; no double lock is emulated";
}

}  // namespace

OneRegisterValue decode_one_register(const DecodeContext& context, uint64_t id, uint64_t value) {
  OneRegisterValue shown;
  if (context.architecture != Architecture::kAarch64) {
    shown.value = value;
    return shown;
  }
  shown.name = name_of_register(id);
  const KernelFacts kernel(context);
  if (shown.name == "OSLSR_EL1") judge_oslsr(kernel, shown);
  if (shown.name == "MDCCINT_EL1") judge_mdccint(kernel, value, shown);
  if (shown.name == "ID_AA64DFR0_EL1" && context.kernel) judge_dfr0(kernel, shown);
  if (shown.name == "OSDLR_EL1") shown.note = "no kernel emulates the double lock: reads as 0";
  if (shown.validity == Validity::kValid) shown.value = value;
  return shown;
}

}  // namespace kvmtape
