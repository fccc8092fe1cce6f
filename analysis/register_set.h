// The registers that stand with one exit, by set. A set of pairs (KVM_GET_ONE_REG, MSRs) may come
// in several records: values, and for each way in which registers have none the list of those; a
// crash exit has the debug registers in records of their own. Here they are one. What is to be
// shown of a set is in values_of() alone. Owns its bytes; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "replayer/decode_context.h"
#include "replayer/exit.h"
#include "schema/chunk_codec.h"
#include "schema/snapshot.h"

namespace kvmtape {

// One record, borrowed.
struct RegistersView {
  RegisterSet set{};
  RegisterStatus status = RegisterStatus::kTaken;
  uint32_t error = 0;              // errno when refused
  std::span<const uint8_t> bytes;  // as the kernel wrote them
};
// Empty: the record is too short to be one. Bytes that are not all there are left out.
std::optional<RegistersView> registers_view(const SideRecord& record);

// "kvm_debugregs": of its kernel struct; "unknown" of a set that this build does not know.
std::string_view struct_name(RegisterSet set);

// A set of registers that each have a number of their own.
constexpr bool is_of_pairs(RegisterSet set) {
  return set == RegisterSet::kOneReg || set == RegisterSet::kMsrs;
}

struct RegisterSetContents {
  struct Without {
    uint64_t id = 0;
    RegisterStatus status = RegisterStatus::kRefused;
    uint32_t error = 0;
  };

  RegisterStatus status = RegisterStatus::kTaken;  // of pairs: taken if any was
  uint32_t error = 0;
  std::vector<uint8_t> bytes;
  std::vector<Without> without;  // of pairs: registers that were asked for and have no value

  // Of pairs adds to what is known; any other set is replaced.
  void join(const RegistersView& record, ByteOrder order);
};
using RegisterSets = std::map<RegisterSet, RegisterSetContents>;

struct RegisterValue {
  std::string name{};    // inside its struct: "cs.base", "OSLSR_EL1"; "0x6030..." if unknown
  uint64_t id = 0;       // of pairs
  int16_t element = -1;  // of a list
  Validity validity = Validity::kValid;
  bool is_number = true;  // false: `text` is bytes, "1f00"
  uint64_t value = 0;     // a valid number's
  std::string text{};     // empty unless valid
  std::string why{};      // why it is not valid; of pairs, what this kernel shows there if it is
};
// Of pairs, each register once.
std::vector<RegisterValue> values_of(const DecodeContext& context, RegisterSet set,
                                     const RegisterSetContents& contents);
// As recorded, but for pairs whose value is not to be shown: zero (replayer/one_register.cc).
std::vector<uint8_t> shown_bytes(const DecodeContext& context, RegisterSet set,
                                 const RegisterSetContents& contents);

}  // namespace kvmtape
