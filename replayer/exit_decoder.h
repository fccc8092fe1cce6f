// From raw bytes to meaning: table by table, rule by rule, never by <linux/kvm.h>, so that any
// machine reads any machine's exits. One decoder serves one session and may be used by one thread
// at a time; decoding allocates nothing.
//
// Facts come from schema/abi (tables generated from CSV) and from the rules in replayer/arch, each
// of which names the kernel source it was read in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "replayer/arch/arch_rules.h"
#include "replayer/decode_context.h"
#include "replayer/exit.h"
#include "replayer/kernel_facts.h"
#include "replayer/raw_moment.h"
#include "schema/abi/registry.h"

namespace kvmtape {

class ExitDecoder {
 public:
  explicit ExitDecoder(DecodeContext context);

  const DecodeContext& context() const { return kernel_.context; }

  // Every field of the moment, with its validity at that moment: the data of a read is stale at the
  // exit and valid in the answer. `exit` is overwritten. Field names, reasons and `why` are static.
  void decode(const RawMoment& moment, Exit& exit) const;

 private:
  // Which rows of the ABI tables hold for this architecture and kernel, worked out once.
  struct Plan {
    size_t first = 0;  // in fields_
    size_t count = 0;
    bool later_than_kernel = false;
  };
  void plan_field(const abi::AbiField& row, uint16_t base, abi::Release reason_since);
  void plan_reason(const abi::ExitReason& reason);
  void append(const Plan& plan, const RawMoment& moment, Exit& exit) const;
  void decode_flags(const RuleView& view) const;
  void judge_redaction(Exit& exit) const;

  KernelFacts kernel_;
  ArchRules rules_;
  // The header's, then those of all reasons, one after another: each as it is when nothing speaks
  // against it, but for value and value_name. Apart from the names, so that a plan is one copy.
  std::vector<Field> fields_;
  std::vector<std::span<const abi::ValueName>> value_names_;  // of the field of the same index
  Plan header_;
  std::vector<Plan> plans_;  // by reason number
  std::vector<abi::FlagName> flag_names_;
};

// The name of an exit reason, "KVM_EXIT_IO"; empty when this build knows none.
std::string_view exit_reason_name(uint32_t reason);
// Inverse, for --exit: accepts "KVM_EXIT_IO", "IO", "io" and "44"; -1 if it is neither.
int64_t exit_reason_number(std::string_view name);

// One line for people, as in `dump` and the JSON's "text": "IN  port 0x3f8 1 byte", "BRK #0x1234",
// "write 4 bytes 0x12345678 to 0xfee000b0". Says what is not known rather than printing it.
std::string exit_text(const DecodeContext& context, const RawMoment& moment, const Exit& exit);

// What x86 puts into internal.data[element], such as "exit_reason"; empty: not known. The order of
// a delivery event's words changed between 6.12 and 7.2.
std::string_view internal_data_slot(const DecodeContext& context, uint32_t suberror, uint32_t ndata,
                                    int element);

// The bytes of a field as they lay in memory; empty when they were not recorded.
std::span<const uint8_t> raw_bytes(const Field& field, const RawMoment& moment);

}  // namespace kvmtape
