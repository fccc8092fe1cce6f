#include "cli/register_text.h"

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

#include "analysis/explain/x86_state.h"
#include "replayer/arch_names/arm64_registers.h"
#include "replayer/arch_names/esr.h"
#include "replayer/arch_names/x86_registers.h"

namespace kvmtape {
namespace {

using Lines = std::vector<std::string>;

std::string value_text(uint64_t value) { return fmt::format("{:#x}", value); }

// Those that are known, in columns.
void add_row(Lines& lines, const Registers& registers,
             std::initializer_list<std::string_view> names, int name_width) {
  std::string text;
  for (const std::string_view name : names)
    if (const auto value = registers.get(name))
      text += fmt::format(" {:>{}} {:<18}", name, name_width, value_text(*value));
  if (!text.empty()) lines.push_back("   " + text);
}

Lines lines_of_all(const Registers& registers) {
  constexpr size_t kColumns = 4;
  Lines lines;
  size_t column = 0;
  for (const auto& [name, value] : registers.all()) {
    if (column++ % kColumns == 0) lines.emplace_back(" ");
    lines.back() += fmt::format("  {:>14} {:<18}", name, value_text(value));
  }
  return lines;
}

Lines lines_of_x86(const Registers& registers) {
  constexpr int kWidth = 6;
  Lines lines;
  add_row(lines, registers, {"rip", "rsp", "rbp", "rflags"}, kWidth);
  add_row(lines, registers, {"rax", "rbx", "rcx", "rdx"}, kWidth);
  add_row(lines, registers, {"rsi", "rdi", "r8", "r9"}, kWidth);
  add_row(lines, registers, {"r10", "r11", "r12", "r13"}, kWidth);
  add_row(lines, registers, {"r14", "r15"}, kWidth);
  add_row(lines, registers, {"cr0", "cr2", "cr3", "cr4"}, kWidth);
  std::string text = fmt::format("    {}", to_string(x86_operation(registers)));
  if (const auto cr0 = registers.get("cr0")) text += fmt::format(", CR0 {}", cr0_text(*cr0));
  if (const auto cr4 = registers.get("cr4")) text += fmt::format(", CR4 {}", cr4_text(*cr4));
  if (const auto efer = registers.get("efer")) text += fmt::format(", EFER {}", efer_text(*efer));
  if (const auto flags = registers.get("rflags"))
    text += fmt::format(", RFLAGS {}", eflags_text(*flags));
  lines.push_back(std::move(text));
  if (registers.has({"idt.base", "gdt.base", "cs.base"}))
    lines.push_back(fmt::format(
        "    cs {:#x} base {:#x}, ss {:#x}, IDT {:#x} limit {:#x}, GDT {:#x} limit {:#x}",
        registers.get_or("cs.selector", 0), registers.get_or("cs.base", 0),
        registers.get_or("ss.selector", 0), registers.get_or("idt.base", 0),
        registers.get_or("idt.limit", 0), registers.get_or("gdt.base", 0),
        registers.get_or("gdt.limit", 0)));
  return lines;
}

// "0x96000010"; of one that holds what KVM put there, that.
std::string written_text(uint64_t value) {
  return value == kArm64NeverWritten ? "never written by the guest" : value_text(value);
}

Lines lines_of_arm64(const Registers& registers) {
  constexpr int kWidth = 6;
  Lines lines;
  add_row(lines, registers, {"PC", "SP_EL0", "SP_EL1", "PSTATE"}, kWidth);
  for (unsigned x = 0; x < 31; x += 4) {
    std::string names[4];
    for (unsigned i = 0; i < 4; ++i) names[i] = fmt::format("X{}", x + i);
    add_row(lines, registers, {names[0], names[1], names[2], names[3]}, kWidth);
  }
  if (const auto pstate = registers.get("PSTATE")) {
    std::string text = fmt::format("    {}", pstate_text(*pstate));
    if (const auto sctlr = registers.get("SCTLR_EL1"))
      text += fmt::format("; {}", sctlr_el1_text(*sctlr));
    lines.push_back(std::move(text));
  }
  if (const auto esr = registers.get("ESR_EL1")) {
    const bool written = *esr != kArm64NeverWritten;
    lines.push_back(fmt::format(
        "    last exception to EL1: ESR_EL1 {}{}", written_text(*esr),
        written && *esr != 0 ? fmt::format(" ({})", esr_text(decode_esr(*esr, true))) : ""));
    std::string text = "   ";
    for (const std::string_view name : {"FAR_EL1", "ELR_EL1", "VBAR_EL1", "TTBR0_EL1", "TTBR1_EL1"})
      if (const auto value = registers.get(name); value && *value != kArm64NeverWritten)
        text += fmt::format(" {} {:#x}", name, *value);
    if (text.size() > 3) lines.push_back(std::move(text));
  }
  return lines;
}

}  // namespace

std::vector<std::string> register_lines(const Case& of, const Registers& registers, bool all) {
  if (!all && of.is_x86()) return lines_of_x86(registers);
  if (!all && of.is_arm64() && registers.get("PC")) return lines_of_arm64(registers);
  return lines_of_all(registers);
}

}  // namespace kvmtape
