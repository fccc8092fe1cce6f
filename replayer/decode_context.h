// What the decoder must know beside the bytes: whose kernel wrote them. Built once a session from
// the trace's header (or from the options of `kvmtape decode`) and shared by every exit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "replayer/redaction.h"
#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {

// Upstream part of a release: "6.1.0-49-amd64" is 6.1.0, "5.18.0-rc3" is 5.18.0 with rc 3.
struct KernelVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  uint32_t release_candidate = 0;  // 0: none
  bool operator==(const KernelVersion&) const = default;
  // True when this release is major.minor or later. An -rc of major.minor is not yet it.
  bool at_least(uint32_t other_major, uint32_t other_minor) const;
};
// nullopt: nothing in the text says which.
std::optional<KernelVersion> parse_kernel_release(std::string_view release);

// Whose exit reasons and event words KVM hands on, as it found them in the processor.
enum class X86Virtualization : uint8_t { kUnknown, kVmx, kSvm };

struct DecodeContext {
  Architecture architecture = Architecture::kUnknown;
  ByteOrder byte_order = ByteOrder::kLittle;
  std::optional<KernelVersion> kernel;       // nullopt: not known
  std::string kernel_version_text;           // uname -v: distributions' patch level
  uint32_t page_bytes = 4096;                // 0: not known
  std::map<uint32_t, int32_t> capabilities;  // KVM_CAP_ number to answer; missing: not asked
  X86Virtualization x86_virtualization = X86Virtualization::kUnknown;  // of the host
  std::string abi_variant;                                             // empty: mainline
  RedactionProfile redaction = RedactionProfile::kNone;  // what was removed from the recording
  bool ret_recorded = true;  // false: of bare pages, RawMoment::ret_known

  // nullopt: was not asked.
  std::optional<int32_t> capability(uint32_t number) const {
    auto found = capabilities.find(number);
    if (found == capabilities.end()) return std::nullopt;
    return found->second;
  }
};

}  // namespace kvmtape
