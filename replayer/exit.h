// Exit: what one moment of one KVM exit means. The decoder fills it from raw bytes; every field
// says whether it may be believed. Plain data with room for every field of any exit inside, so that
// decoding allocates nothing; an Exit is reused from call to call, and read only in between. Text
// is static (ABI tables) and lives for ever.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "replayer/redaction.h"

namespace kvmtape {

enum class Validity : uint8_t {
  kValid,    // this kernel wrote it for this exit
  kStale,    // left over from an earlier exit, or not written for this one
  kAbsent,   // this kernel has no such field; the bytes are padding
  kUnknown,  // what was recorded cannot tell
};
std::string_view to_string(Validity validity);

enum class FieldKind : uint8_t {
  kInteger,     // 1, 2, 4 or 8 bytes, in the recording kernel's byte order
  kBytes,       // a byte string in memory order, such as mmio.data
  kEnumerated,  // an integer whose value may have a name
};

struct Field {
  std::string_view name;  // the kernel's, from the union member on: "mmio.phys_addr"
  int16_t element = -1;   // of a list, "system_event.data"; -1: not a list
  uint16_t offset = 0;    // from the start of kvm_run; where raw_bytes() finds it
  uint16_t bytes = 0;     // 0: absent from the recording, or an empty byte string
  bool in_data = false;   // io.data: the bytes are RawMoment::data, not kvm_run's
  FieldKind kind = FieldKind::kInteger;
  Sensitivity sensitivity = Sensitivity::kPayload;  // what a redaction goes by
  Validity validity = Validity::kUnknown;
  std::string_view why;         // why it is not valid, a sentence without its full stop; else empty
  uint64_t value = 0;           // integers; meaningful only when valid
  std::string_view value_name;  // of an enumerated value, when it has one
};

// x86: 7 header fields and TDX or Hyper-V's 10; system_event and internal: 2 + 16 list elements;
// OSI: 32 registers.
inline constexpr size_t kExitFieldsMax = 64;
inline constexpr size_t kFlagNamesMax = 4;
inline constexpr uint64_t kAllFields = ~uint64_t{0};
static_assert(kExitFieldsMax <= 64, "a bit for each");

// Field::why of what a redaction removed: the bytes that stand there are not what lay in memory.
inline constexpr std::string_view kWhyRedacted = "redacted";

struct Exit {
  uint32_t reason = 0;
  bool reason_recorded = true;  // false: the bytes end before it, and `reason` is 0
  std::string_view name;        // "KVM_EXIT_IO"; empty: this build knows no such reason
  Validity reason_validity = Validity::kValid;  // kStale: KVM_RUN failed and left the old one
  std::string_view reason_why;

  uint16_t flags = 0;  // as it stood in memory; to be believed only when valid
  Validity flags_validity = Validity::kUnknown;
  std::string_view flags_why;
  std::array<std::string_view, kFlagNamesMax> flag_names{};
  uint8_t flag_name_count = 0;

  std::array<Field, kExitFieldsMax> fields{};
  uint8_t field_count = 0;

  // A valid ESR_EL2-like value; bits 63:32 only from a field that may be believed.
  bool has_esr = false;
  bool esr_has_high = false;
  uint64_t esr = 0;

  // Which of its plans the decoder that filled this in last took, and which of that plan's fields
  // are no longer as planned: the rest need not be written again. The decoder's alone.
  uint64_t plan_id = 0;
  uint64_t changed_fields = 0;

  std::span<const Field> all_fields() const { return {fields.data(), field_count}; }
  const Field* find(std::string_view field_name, int element = -1) const {
    for (const Field& field : all_fields())
      if (field.name == field_name && field.element == element) return &field;
    return nullptr;
  }
};

}  // namespace kvmtape
