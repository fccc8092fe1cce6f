#include "replayer/arch_names/esr.h"

#include <fmt/format.h>

#include "replayer/arch_names/named_value.h"

namespace kvmtape {
namespace {

std::string register_name(uint64_t number) {
  return number == 31 ? "xzr" : fmt::format("x{}", number);
}

// The last words of an abort or a watchpoint: what was accessed how, and with which register.
std::string access_text(const Esr& esr) {
  const EsrField* wnr = esr.find("wnr");
  if (wnr == nullptr) return {};
  // WnR is always 1 for cache maintenance and address translation instructions.
  std::string text = esr.value_of("cm") != 0 ? ", cache maintenance"
                     : wnr->value != 0       ? ", write"
                                             : ", read";
  if (esr.value_of("lst") != 0) text += fmt::format(" by {}", esr.find("lst")->value_name);
  if (const EsrField* size = esr.find("sas"))
    text += fmt::format(" of {} byte{}, {}", 1u << size->value, size->value == 0 ? "" : "s",
                        register_name(esr.value_of("srt")));
  if (esr.value_of("s1ptw") != 0) text += ", on a stage 1 table walk";
  return text;
}

std::string abort_text(const Esr& esr, std::string_view title, std::string_view status) {
  const EsrField* fault = esr.find(status);
  const uint64_t code = fault == nullptr ? 0 : fault->value;
  const std::string_view name = fault == nullptr ? std::string_view{} : fault->value_name;
  std::string text = fmt::format(
      "{}, {}", title, name.empty() ? fmt::format("fault status {:#x}", code) : std::string(name));
  // Zero says "recoverable" with the RAS extension and nothing without it; the ESR does not tell
  // which.
  if (const EsrField* type = esr.find("set"); type != nullptr && type->value != 0)
    text += ", " + name_or_hex(type->value_name, type->value);
  return text + access_text(esr);
}

std::string system_register_text(const Esr& esr) {
  const bool read = esr.value_of("direction") != 0;
  return fmt::format("trapped {} of S{}_{}_C{}_C{}_{} {} {}", read ? "read" : "write",
                     esr.value_of("op0"), esr.value_of("op1"), esr.value_of("crn"),
                     esr.value_of("crm"), esr.value_of("op2"), read ? "into" : "from",
                     register_name(esr.value_of("rt")));
}

std::string coprocessor_text(const Esr& esr, unsigned coprocessor) {
  return fmt::format("trapped {} p{}, {}, r{}, c{}, c{}, {}",
                     esr.value_of("direction") != 0 ? "MRC" : "MCR", coprocessor,
                     esr.value_of("opc1"), esr.value_of("rt"), esr.value_of("crn"),
                     esr.value_of("crm"), esr.value_of("opc2"));
}

std::string coprocessor64_text(const Esr& esr, unsigned coprocessor) {
  return fmt::format("trapped {} p{}, {}, r{}, r{}, c{}",
                     esr.value_of("direction") != 0 ? "MRRC" : "MCRR", coprocessor,
                     esr.value_of("opc1"), esr.value_of("rt"), esr.value_of("rt2"),
                     esr.value_of("crm"));
}

std::string brk_text(const Esr& esr) {
  const uint64_t comment = esr.value_of("comment");
  const std::string_view meaning = linux_brk_meaning(static_cast<uint16_t>(comment));
  return meaning.empty() ? fmt::format("BRK #{:#x}", comment)
                         : fmt::format("BRK #{:#x} (Linux: {})", comment, meaning);
}

std::string serror_text(const Esr& esr) {
  if (esr.value_of("ids") != 0) return "SError, implementation defined syndrome";
  const EsrField* type = esr.find("aet");
  return type == nullptr ? "SError" : fmt::format("SError, {}", type->value_name);
}

// "trapped wait instruction: WFI", by the one field that names a variant.
std::string variant_text(const Esr& esr, std::string_view field_name) {
  const EsrField* field = esr.find(field_name);
  if (field == nullptr) return std::string(esr.title);
  return fmt::format("{}: {}", esr.title, name_or_hex(field->value_name, field->value));
}

std::string whole_text(const Esr& esr) {
  switch (esr.ec) {
    case 0x01:
      return variant_text(esr, "ti");
    case 0x03:
      return coprocessor_text(esr, 15);
    case 0x04:
      return coprocessor64_text(esr, 15);
    case 0x05:
      return coprocessor_text(esr, 14);
    case 0x0a:
      return variant_text(esr, "instruction");
    case 0x0c:
      return coprocessor64_text(esr, 14);
    case 0x11:
    case 0x12:
    case 0x15:
    case 0x16:
    case 0x17:
      return fmt::format("{} #{:#x}", esr.title, esr.value_of("imm16"));
    case 0x18:
      return system_register_text(esr);
    case 0x1a:
      return variant_text(esr, "eret");
    case 0x1c:
      return variant_text(esr, "key");
    case 0x1d:
      return variant_text(esr, "smtc");
    case 0x1e:
      return abort_text(esr, esr.title, "xfsc");
    case 0x20:
    case 0x21:
      return abort_text(esr, esr.title, "ifsc");
    case 0x24:
    case 0x25:
      return abort_text(esr, esr.title, "dfsc");
    case 0x2d:
      return variant_text(esr, "extype");
    case 0x2f:
      return serror_text(esr);
    case 0x32:
    case 0x33:
      return fmt::format("{}{}", esr.title,
                         esr.value_of("ex") != 0 ? ", over a load-exclusive" : "");
    case 0x34:
    case 0x35:
      return fmt::format("{}{}{}", esr.title, access_text(esr),
                         esr.value_of("fnp") != 0 ? ", address not precise" : "");
    case 0x38:
      return fmt::format("BKPT #{:#x}", esr.value_of("comment"));
    case 0x3c:
      return brk_text(esr);
    default:
      return esr.title.empty() ? fmt::format("reserved exception class {:#x}", esr.ec)
                               : std::string(esr.title);
  }
}

}  // namespace

std::string esr_text(const Esr& esr) {
  switch (esr.form) {
    case EsrForm::kNisv:
      return abort_text(esr, "data abort without a valid instruction syndrome", "dfsc");
    case EsrForm::kLdst64b: {
      const EsrField* instruction = esr.find("lst");
      return fmt::format(
          "{} of 64 bytes, first register {}",
          instruction->value_name.empty() ? "unspecified access" : instruction->value_name,
          register_name(esr.value_of("xs")));
    }
    case EsrForm::kSea: {
      const std::string_view title = esr.title.empty() ? "abort" : esr.title;
      return abort_text(esr, title, esr.find("ifsc") != nullptr ? "ifsc" : "dfsc");
    }
    case EsrForm::kWhole:
      break;
  }
  return whole_text(esr);
}

}  // namespace kvmtape
