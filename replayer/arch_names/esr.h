// What an ESR_ELx value says: exception class, syndrome fields by name, one line for people.
// Pure functions of their argument, any thread, any input; decoding allocates nothing, text does.
// A field appears only where the architecture (or KVM, which masks what it passes on) says that
// the bits mean it: SAS to AR under ISV, COND under CV, ISS2 when the caller believes bits 55:32.
//
// Four entry points, because KVM hands over four kinds of syndrome: the whole register
// (KVM_EXIT_DEBUG, guest registers, serror_esr), and the three masked forms.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kvmtape {

struct EsrField {
  std::string_view name;  // the Arm ARM's in lower case, "wnr"; BRK's and BKPT's is "comment"
  uint64_t value = 0;
  std::string_view value_name;  // "translation fault level 3"; empty where the value has none
};

inline constexpr size_t kEsrFieldsMax = 24;

enum class EsrForm : uint8_t {
  kWhole,
  kNisv,     // arm_nisv.esr_iss of KVM_EXIT_ARM_NISV: neither EC nor IL
  kLdst64b,  // the same member under KVM_EXIT_ARM_LDST64B: all but the fault status
  kSea,      // arm_sea.esr
};

struct Esr {
  EsrForm form = EsrForm::kWhole;
  uint64_t value = 0;     // as given; without bits 63:32 where they are not to be believed
  bool has_class = true;  // false (kNisv): ec, ec_name, title and il mean nothing
  uint8_t ec = 0;
  uint8_t il = 0;
  std::string_view ec_name;  // the kernel's ESR_ELx_EC_ name; empty: reserved
  std::string_view title;    // "data abort from a lower EL"
  uint32_t iss = 0;          // bits 24:0
  uint32_t iss2 = 0;         // bits 55:32; 0 where they are not to be believed
  bool far_valid = false;    // FAR_ELx of the same exception holds an address (EC and FnV say so)
  std::array<EsrField, kEsrFieldsMax> fields{};
  uint8_t field_count = 0;

  std::span<const EsrField> all_fields() const { return {fields.data(), field_count}; }
  const EsrField* find(std::string_view name) const {
    for (const EsrField& field : all_fields())
      if (field.name == name) return &field;
    return nullptr;
  }
  uint64_t value_of(std::string_view name) const {  // 0 where the field is not there
    const EsrField* field = find(name);
    return field == nullptr ? 0 : field->value;
  }
};

// high_valid: bits 63:32 were recorded and may be believed (debug.arch.hsr_high under its flag, a
// 64-bit register read); otherwise they are ignored.
Esr decode_esr(uint64_t esr, bool high_valid);
// KVM_EXIT_ARM_NISV keeps CM, WnR and DFSC only (kvm_emulate.h, Linux 5.5 and later).
Esr decode_arm_nisv(uint64_t esr_iss);
// KVM_EXIT_ARM_LDST64B keeps all but DFSC; LST is the instruction, ISS2.Xs its first register.
Esr decode_arm_ldst64b(uint64_t esr_iss);
// KVM_EXIT_ARM_SEA keeps EC, IL, FnV, EA, CM, WnR, FSC, and SET with RAS; far_valid is gva's.
Esr decode_arm_sea(uint64_t esr);

// "BRK #0x1234"; "data abort from a lower EL, translation fault level 3, write of 4 bytes, x3".
std::string esr_text(const Esr& esr);

// What Linux means by a BRK immediate: "BUG or WARN"; empty for one that it does not use.
// arch/arm64/include/asm/brk-imm.h of Linux 6.12.
std::string_view linux_brk_meaning(uint16_t comment);

}  // namespace kvmtape
