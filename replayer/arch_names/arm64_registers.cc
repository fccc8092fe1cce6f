#include "replayer/arch_names/arm64_registers.h"

#include <fmt/format.h>

#include "replayer/arch_names/bit.h"

namespace kvmtape {

std::string pstate_text(uint64_t pstate) {
  constexpr unsigned kMode32 = 4;
  if (bit(pstate, kMode32)) return fmt::format("AArch32, mode {:#x}", pstate & 0x1f);
  const unsigned level = pstate >> 2 & 3;
  std::string text = fmt::format("EL{}{}", level, bit(pstate, 0) ? "h" : "t");
  constexpr struct {
    unsigned number;
    char name;
  } kMasks[] = {{9, 'D'}, {8, 'A'}, {7, 'I'}, {6, 'F'}};
  std::string masked;
  for (const auto& [number, name] : kMasks)
    if (bit(pstate, number)) masked += name;
  text += masked.empty() ? ", nothing masked" : fmt::format(", {} masked", masked);
  text += fmt::format(", flags {}{}{}{}", bit(pstate, 31) ? 'N' : 'n', bit(pstate, 30) ? 'Z' : 'z',
                      bit(pstate, 29) ? 'C' : 'c', bit(pstate, 28) ? 'V' : 'v');
  if (bit(pstate, 21)) text += ", SS";
  if (bit(pstate, 20)) text += ", IL";
  return text;
}

std::string sctlr_el1_text(uint64_t sctlr) {
  return fmt::format("MMU {}, data cache {}, instruction cache {}, {}-endian",
                     bit(sctlr, 0) ? "on" : "off", bit(sctlr, 2) ? "on" : "off",
                     bit(sctlr, 12) ? "on" : "off", bit(sctlr, 25) ? "big" : "little");
}

}  // namespace kvmtape
