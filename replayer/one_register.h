// Registers that were read by KVM_GET_ONE_REG (arm64): their names, and what the kernel that
// answered makes of them. Pure function, any thread, static text.
#pragma once

#include <cstdint>
#include <string_view>

#include "replayer/decode_context.h"
#include "replayer/exit.h"

namespace kvmtape {

struct OneRegisterValue {
  std::string_view name;  // "OSLSR_EL1"; empty: this build knows no such id
  Validity validity = Validity::kValid;
  std::string_view why;   // why it is not valid; else empty
  std::string_view note;  // what this kernel shows there, where it is not what the hardware has
  uint64_t value = 0;     // 0 unless valid
};
OneRegisterValue decode_one_register(const DecodeContext& context, uint64_t id, uint64_t value);

}  // namespace kvmtape
