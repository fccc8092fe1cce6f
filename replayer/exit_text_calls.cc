#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/named_value.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"
#include "replayer/arch_names/sbi.h"
#include "replayer/exit_text_writer.h"

namespace kvmtape {

void ExitText::hypercall() const {
  const Field* number = valid("hypercall.nr");
  if (number == nullptr) return print("hypercall ?");
  if (context.architecture == Architecture::kAarch64) {
    const Field* flags = valid("hypercall.flags");
    return print("{} {}",
                 flags == nullptr          ? "HVC or SMC"
                 : (flags->value & 1) != 0 ? "SMC"
                                           : "HVC",
                 smccc_text(static_cast<uint32_t>(number->value)));
  }
  print("{}", name_or_hex(kvm_hypercall_name(number->value), number->value));
  for (int i = 0; i < 6; ++i)
    if (const Field* argument = valid("hypercall.args", i))
      print("{}{:#x}", i == 0 ? " " : ", ", argument->value);
}

void ExitText::sbi() const {
  const Field* extension = valid("riscv_sbi.extension_id");
  const Field* function = valid("riscv_sbi.function_id");
  if (extension == nullptr || function == nullptr) return print("SBI ?");
  print("{}", sbi_text(extension->value, function->value));
  for (int i = 0; i < 6; ++i) print("{}{}", i == 0 ? " " : ", ", hex("riscv_sbi.args", i));
}

void ExitText::papr_hcall() const {
  const Field* number = valid("papr_hcall.nr");
  if (number == nullptr) return print("hcall ?");
  print("{}", name_or_hex(papr_hcall_name(number->value), number->value));
  for (int i = 0; i < 4; ++i) print("{}{}", i == 0 ? " " : ", ", hex("papr_hcall.args", i));
}

// With an error that is not 0 KVM raises #GP instead of doing what the guest asked for:
// complete_fast_msr_access() in arch/x86/kvm/x86.c, Linux 6.12.
void ExitText::msr(bool is_write) const {
  const Field* index = valid("msr.index");
  print("{} {}", is_write ? "WRMSR" : "RDMSR",
        index == nullptr ? "?" : msr_text(static_cast<uint32_t>(index->value)));
  const Field* error = valid("msr.error");
  const bool is_refused = moment.is_answer && error != nullptr && error->value != 0;
  const Field* data = valid("msr.data");
  if (data != nullptr && (is_write || !is_refused))
    print("{}{:#x}", is_write ? " " : " = ", data->value);
  if (is_refused) print(" refused with #GP");
  if (const Field* reason = valid("msr.reason"))
    print(", {}", name_or_hex(reason->value_name, reason->value));
}

}  // namespace kvmtape
