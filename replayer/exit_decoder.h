// From raw bytes to meaning: table by table, rule by rule, never by <linux/kvm.h>, so that any
// machine reads any machine's exits. One decoder serves one session; it does not change, and any
// number of threads may use it at once. Decoding allocates nothing.
//
// Facts come from schema/abi (tables generated from CSV) and from the rules in replayer/arch, each
// of which names the kernel source it was read in.
#pragma once

#include <array>
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
  // Which rows of the ABI tables hold for this architecture and kernel, worked out once: the fields
  // of the header and of one exit reason, as they are when nothing speaks against them, but for
  // value and value_name, and where those come from.
  struct Load {
    uint16_t offset = 0;
    uint8_t field = 0;  // of the plan
  };
  struct NamedField {
    uint8_t field = 0;
    std::vector<abi::ValueName> names;
  };
  struct Plan {
    std::string_view reason_name;
    std::vector<Field> fields;
    std::array<std::vector<Load>, 4> loads;  // of 1, 2, 4 and 8 bytes
    std::vector<NamedField> named;
    size_t end = 0;         // so many bytes of kvm_run hold all of them
    uint64_t doubtful = 0;  // a bit for each field that is not valid from the start
    bool later_than_kernel = false;
  };
  void plan_field(const abi::AbiField& row, uint16_t base, abi::Release reason_since,
                  Plan& plan) const;
  Plan plan_reason(const abi::ExitReason& reason) const;
  const Plan& plan_of(const Exit& exit) const;
  void begin(const Plan& plan, const RawMoment& moment, Exit& exit) const;
  template <ByteOrder order>
  void load_values(const Plan& plan, const uint8_t* kvm_run, Field* fields) const;
  void load_short(const Plan& plan, const RawMoment& moment, Exit& exit) const;
  void decode_flags(const RuleView& view) const;
  void judge_redaction(Exit& exit) const;

  KernelFacts kernel_;
  ArchRules rules_;
  Plan header_;
  std::vector<Plan> plans_;  // by reason number
  uint64_t first_plan_id_;   // of header_; no other decoder has it or one of those that follow
  std::vector<abi::FlagName> flag_names_;
};

// The name of an exit reason, "KVM_EXIT_IO"; empty when this build knows none.
std::string_view exit_reason_name(uint32_t reason);
// "IO" of that; what is no such name as it is.
std::string_view without_exit_prefix(std::string_view name);
// Inverse, for --exit: accepts "KVM_EXIT_IO", "IO", "io" and "44"; -1 if it is neither.
int64_t exit_reason_number(std::string_view name);

// One line for people, as in `dump` and the JSON's "text": "IN  port 0x3f8 1 byte", "BRK #0x1234",
// "write 4 bytes 0x12345678 to 0xfee000b0". Says what is not known rather than printing it.
std::string exit_text(const DecodeContext& context, const RawMoment& moment, const Exit& exit);

// The bytes of a field as they lay in memory; empty when they were not recorded.
std::span<const uint8_t> raw_bytes(const Field& field, const RawMoment& moment);

}  // namespace kvmtape
