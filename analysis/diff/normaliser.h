// What of an exit is compared, and the 64 bits that stand for that: only what may be believed, and
// nothing that differs from run to run of the same guest on the same kernel. A field that one of
// the two kernels fills in and the other does not is compared, but exits are not aligned by it:
// else no exit of one kernel would be found in a recording of the other.
//
// One thread. Built for a pair of recordings; outlives neither rules nor contexts, which it copies.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/diff/exit_identity.h"
#include "analysis/diff/guest_addresses.h"
#include "analysis/kernel_changes.h"

namespace kvmtape {

// Times of exits are never compared one by one.
struct DiffRules {
  bool eintr = false;       // KVM_RUN that a signal interrupted
  bool interrupts = false;  // interrupt windows, and fields that say whether one could be injected
  bool addresses = false;   // as they are, not by memory slot or symbol
  bool answers = true;      // what the monitor left for the next KVM_RUN
  bool registers = true;    // what the recorder took with an exit, where both did
  std::vector<uint32_t> ignored_exits{};
  std::vector<std::string> ignored_fields{};   // "debug.arch.far"
  std::vector<std::string> ignored_changes{};  // ids of kernel_changes.h
};

// A field that holds a virtual address of the guest's: of code, or of what it touched.
bool is_virtual_address(std::string_view field);

enum class FieldRole : uint8_t { kIgnored, kAligned, kPlace, kRest };

// A field that is compared: valid at its moment, and in an answer only if the answer says more.
struct ComparedField {
  const Field* field = nullptr;
  bool in_answer = false;
  uint64_t name_hash = 0;
  uint64_t value = 0;  // normalised, or a hash of it
  FieldRole role{};
};

class Normaliser {
 public:
  Normaliser(const DecodeContext& a, const DecodeContext& b, DiffRules rules);

  const DiffRules& rules() const { return rules_; }
  bool leaves_out(const RecordedExit& exit) const;
  ExitIdentity identity(const DecodedExit& decoded, const GuestAddresses& addresses);
  // The fields behind identity(), in one of two lists: until the next call for that one.
  std::span<const ComparedField> compared_fields(const DecodedExit& decoded,
                                                 const GuestAddresses& addresses, size_t list);
  ByteOrder byte_order() const { return decoder_a_.context().byte_order; }
  bool compares_field(std::string_view name) const;

 private:
  struct NamedRole {
    uint32_t reason;
    std::string_view name;
    uint64_t hash;
    FieldRole role;
    bool is_physical, is_virtual;  // an address of the guest
  };
  const NamedRole& role_of(uint32_t reason, std::string_view name);
  NamedRole judge(uint32_t reason, std::string_view name) const;
  bool kernels_differ(uint32_t reason, std::string_view name) const;
  uint64_t value_of(const Field& field, const RawMoment& moment, const NamedRole& named,
                    const GuestAddresses& addresses) const;

  DiffRules rules_;
  KernelDifferences differences_;
  ExitDecoder decoder_a_, decoder_b_;
  std::deque<NamedRole> roles_;                        // those that were asked for
  std::array<const NamedRole*, 1024> recent_roles_{};  // by a hash
  std::array<std::vector<ComparedField>, 2> fields_;
};

}  // namespace kvmtape
