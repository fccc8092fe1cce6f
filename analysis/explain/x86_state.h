// In which mode an x86 vCPU was, from whatever of its registers is known. Pure functions, any
// thread.
//
// Sources: Intel SDM vol. 3 sections 2.1, 2.2 and 5.4.1 (which bits make which mode); AMD APM vol.
// 2 section 1.3.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "analysis/explain/registers.h"
#include "replayer/arch_names/disassembly.h"

namespace kvmtape {

enum class X86Operation : uint8_t {
  kUnknown,
  kReal,
  kVirtual8086,
  kProtected,      // no paging
  kPaged32,        // with paging, 32-bit or PAE
  kCompatibility,  // long mode, 16- or 32-bit code
  kLong,
};
X86Operation x86_operation(const Registers& registers);
std::string_view to_string(X86Operation operation);  // "64-bit long mode"

bool x86_paging(const Registers& registers);
// What rip means to the segmentation unit: cs.base + rip, or rip in 64-bit code.
std::optional<uint64_t> x86_linear_ip(const Registers& registers);
// How wide the code is; nullopt: not known.
std::optional<X86Mode> x86_code_bits(const Registers& registers);
// An instruction's bytes in words, "addps xmm0, xmmword ptr [rbx]"; read as 64-bit code where the
// width is not known. Empty: no instruction begins with these bytes.
std::string x86_instruction_text(std::span<const uint8_t> bytes, uint64_t address,
                                 std::optional<X86Mode> bits);

}  // namespace kvmtape
