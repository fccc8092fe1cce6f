// What the bits of ESR_ELx mean, class by class: the tables that esr.cc walks. Static data.
//
// Sources: Arm ARM DDI0487 (ESR_EL2, ISS and ISS2 encodings); arch/arm64/include/asm/esr.h of Linux
// 6.12 for class names and for the encodings it defines. The classes TSTART, GPC and PMU, the
// watchpoint bits WPT to FnP and the granule protection fault codes stand in the Arm ARM only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

// Some bits of the ISS (bits 24:0 of ESR_ELx) or of the ISS2 (55:32), positions as in ESR_ELx.
struct EsrBits {
  std::string_view name;  // the Arm ARM's, lower case
  uint8_t high;
  uint8_t low;
  NamedValues names = {};
  // The bits mean this only where (esr & when_mask) == when_value: ISV for SAS to AR, and so on.
  uint32_t when_mask = 0;
  uint32_t when_value = 0;
};

struct EsrClass {
  uint8_t ec;
  std::string_view name;   // without ESR_ELx_EC_
  std::string_view title;  // begins a sentence for people
  std::span<const EsrBits> bits;
};

// nullptr where the architecture reserves the class.
const EsrClass* find_esr_class(uint8_t ec);
std::span<const EsrClass> all_esr_classes();

// What KVM keeps of an ESR for KVM_EXIT_ARM_NISV, KVM_EXIT_ARM_LDST64B and KVM_EXIT_ARM_SEA.
std::span<const EsrBits> nisv_bits();
std::span<const EsrBits> ldst64b_bits();
std::span<const EsrBits> sea_data_bits();
std::span<const EsrBits> sea_instruction_bits();

// Bits 5:0 of an abort: "translation fault level 3".
std::string_view fault_status_name(uint8_t fault_status);
NamedValues all_fault_statuses();

}  // namespace kvmtape
