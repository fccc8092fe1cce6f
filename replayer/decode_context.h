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

// Upstream part of a release: "6.1.0-49-amd64" is 6.1.0, "5.18.0-rc3" is 5.18.0 with rc 3, and so
// are Fedora's "5.18.0-0.rc3.2022...fc37" and Ubuntu's "5.18.0-051800rc3-generic".
// "5.14.0-427.13.1.el9_4.x86_64" is a 5.14.0 that later KVM was ported back to; ELRepo's
// "6.1.10-1.el9.elrepo.x86_64" is upstream's.
struct KernelVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  uint32_t release_candidate = 0;  // 0: none; 1 where the text does not say which
  bool rebased = false;            // has this release's KVM and parts of later ones' (.elN)
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
