#include "replayer/arch_names/esr.h"

#include "replayer/arch_names/esr_tables.h"

namespace kvmtape {
namespace {

constexpr uint64_t bits(uint64_t value, unsigned high, unsigned low) {
  return (value >> low) & ((uint64_t{1} << (high - low + 1)) - 1);
}

constexpr uint8_t kEcInstructionAbortLow = 0x20;
constexpr uint8_t kEcInstructionAbortSame = 0x21;
constexpr uint8_t kEcPcAlign = 0x22;
constexpr uint8_t kEcDataAbortLow = 0x24;
constexpr uint8_t kEcDataAbortSame = 0x25;
constexpr uint8_t kEcWatchpointLow = 0x34;
constexpr uint8_t kEcWatchpointSame = 0x35;
constexpr uint32_t kFnv = 1u << 10;

// FAR_ELx is UNKNOWN for every other class that KVM shows to user space.
bool far_is_valid(uint8_t ec, uint32_t iss) {
  switch (ec) {
    case kEcPcAlign:
      return true;
    case kEcInstructionAbortLow:
    case kEcInstructionAbortSame:
    case kEcDataAbortLow:
    case kEcDataAbortSame:
    case kEcWatchpointLow:
    case kEcWatchpointSame:
      return (iss & kFnv) == 0;
    default:
      return false;
  }
}

void append_fields(std::span<const EsrBits> rows, bool high_valid, Esr& esr) {
  for (const EsrBits& row : rows) {
    if (row.low >= 32 && !high_valid) continue;
    if ((esr.iss & row.when_mask) != row.when_value) continue;
    if (esr.field_count == kEsrFieldsMax) return;
    const uint64_t value = bits(esr.value, row.high, row.low);
    esr.fields[esr.field_count++] = {row.name, value, name_of(row.names, value)};
  }
}

Esr common(uint64_t value, EsrForm form, bool high_valid) {
  Esr esr;
  esr.form = form;
  esr.value = high_valid ? value : value & 0xffffffff;
  esr.ec = static_cast<uint8_t>(bits(value, 31, 26));
  esr.il = static_cast<uint8_t>(bits(value, 25, 25));
  esr.iss = static_cast<uint32_t>(bits(value, 24, 0));
  if (high_valid) esr.iss2 = static_cast<uint32_t>(bits(value, 55, 32));
  esr.far_valid = far_is_valid(esr.ec, esr.iss);
  if (const EsrClass* row = find_esr_class(esr.ec)) {
    esr.ec_name = row->name;
    esr.title = row->title;
  }
  return esr;
}

}  // namespace

Esr decode_esr(uint64_t value, bool high_valid) {
  Esr esr = common(value, EsrForm::kWhole, high_valid);
  if (const EsrClass* row = find_esr_class(esr.ec)) append_fields(row->bits, high_valid, esr);
  return esr;
}

Esr decode_arm_nisv(uint64_t esr_iss) {
  Esr esr;
  esr.form = EsrForm::kNisv;
  esr.value = esr_iss;
  esr.has_class = false;
  esr.iss = static_cast<uint32_t>(bits(esr_iss, 24, 0));
  append_fields(nisv_bits(), false, esr);
  return esr;
}

Esr decode_arm_ldst64b(uint64_t esr_iss) {
  Esr esr = common(esr_iss, EsrForm::kLdst64b, true);
  append_fields(ldst64b_bits(), true, esr);
  return esr;
}

Esr decode_arm_sea(uint64_t value) {
  Esr esr = common(value, EsrForm::kSea, false);
  const bool instruction = esr.ec == kEcInstructionAbortLow || esr.ec == kEcInstructionAbortSame;
  append_fields(instruction ? sea_instruction_bits() : sea_data_bits(), false, esr);
  return esr;
}

std::string_view linux_brk_meaning(uint16_t comment) {
  switch (comment) {
    case 0x004:
      return "kprobe";
    case 0x005:
      return "uprobe";
    case 0x006:
      return "kprobe single-step";
    case 0x007:
      return "kretprobe";
    case 0x100:
      return "fault on purpose";
    case 0x400:
      return "kgdb breakpoint";
    case 0x401:
      return "kgdb compiled breakpoint";
    case 0x800:
      return "BUG or WARN";
    default:
      break;
  }
  if ((comment & 0xff00) == 0x0900) return "KASAN";
  if ((comment & 0xff00) == 0x5500) return "UBSAN";
  if ((comment & 0xfc00) == 0x8000) return "CFI failure";
  return {};
}

}  // namespace kvmtape
