// What KVM does otherwise from one kernel to another, as data: each row says since when (and until
// when), on which architecture, and in which exit, field or register it shows. For whoever finds a
// difference between two recordings and asks whether their kernels explain it. The table is
// kernel_changes.csv, docs/kernel-changes.md the same for people; kernel_changes.py writes both
// that and the .inc. Rows are constant and live for ever; an object is used by one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "replayer/decode_context.h"
#include "replayer/exit.h"
#include "replayer/kernel_facts.h"
#include "schema/abi/registry.h"

namespace kvmtape {

// What else an exit must be for a change to show in it: a field of this value, or the class of its
// syndrome, "esr.ec".
struct ChangeCondition {
  std::string_view field{};
  int16_t element = -1;
  uint64_t value = 0;
};

// Where a difference was seen, or where a change shows: one of at_exit, at_field, at_register,
// at_registers.
struct ChangePlace {
  static constexpr int32_t kAnyExit = -1;
  static constexpr int32_t kNoExit = -2;
  // Which kernels have exits of a place without a field, where only one recording has them.
  enum class On : uint8_t { kEither, kThoseThatDo, kThoseThatDoNot };

  int32_t exit_reason = kNoExit;
  std::string_view field{};  // "debug.arch.far", "flags", "exit_reason"; empty: that it exits
  uint64_t register_id = 0;  // of KVM_GET_ONE_REG
  std::string_view register_set{};  // "kvm_vcpu_events": whether these can be had
  On on = On::kEither;
  std::span<const ChangeCondition> conditions{};  // all of them
  bool sign_extended = false;                     // the values differ in nothing else
  std::string_view guest{};                       // of `kvmtape probe`, by name; empty: any guest

  static ChangePlace at_exit(uint32_t reason) { return at_field(reason, {}); }
  static ChangePlace at_field(uint32_t reason, std::string_view field) {
    return {.exit_reason = static_cast<int32_t>(reason), .field = field};
  }
  static ChangePlace at_register(uint64_t id) { return {.register_id = id}; }
  static ChangePlace at_registers(std::string_view set) { return {.register_set = set}; }
};

struct StableRelease {
  uint16_t major, minor, patch;
};

struct KernelChange {
  std::string_view id;      // "arm64-hsr-high": for --ignore and for documents
  std::string_view shows;   // its places in words: "KVM_EXIT_DEBUG flags; guest"
  std::string_view what;    // a sentence without its full stop
  std::string_view commit;  // empty: not known
  std::string_view source;  // where it was read or seen
  std::string_view doubt;   // what of it is not confirmed; empty: all of it is
  abi::ArchitectureMask architectures;
  abi::Release since;            // 0: always
  abi::Release until;            // the last release that does so; 0: all later ones do
  uint32_t capability;           // decides where a recording holds its answer; 0: none does
  bool guest_sees;               // and may do or write something else for it
  uint16_t place, places;        // in a list of their own
  uint16_t backport, backports;  // likewise: stable releases of older kernels that do so as well
};
std::span<const KernelChange> kernel_changes();
std::span<const ChangePlace> places_of(const KernelChange& change);
// Does this kernel behave so? kNo on other architectures.
Known behaves_so(const KernelChange& change, const KernelFacts& kernel);

// What a difference was seen in.
struct Sighting {
  const Exit* in_a = nullptr;  // nullptr: only the other recording has such an exit
  const Exit* in_b = nullptr;
  bool sign_extended = false;  // differs_by_sign()
  std::string_view guest{};    // guest_of_mark()
};
// One of the two is the other with its sign extended: from 8, 16 or 32 bits to `bytes`.
bool differs_by_sign(uint64_t a, uint64_t b, size_t bytes);
// Which guest of `kvmtape probe` runs behind a mark: "probe os_lock: ..." names os_lock. Empty:
// none.
std::string_view guest_of_mark(std::string_view mark);

// Two recordings' kernels, and the changes that lie between them.
class KernelDifferences {
 public:
  struct Difference {
    const KernelChange* change;
    Known in_a, in_b;  // never kYes for both or kNo for both
    bool certain() const { return in_a != Known::kMaybe && in_b != Known::kMaybe; }
  };

  // Of two architectures, there are none: nothing can be compared.
  KernelDifferences(const DecodeContext& a, const DecodeContext& b);

  // The table's order.
  std::span<const Difference> all() const { return differences_; }
  // Those that explain what was seen there, the likeliest first: certain ones, then those of this
  // very exit, then those that are confirmed. Empty: no known change explains it.
  // One of the exits must be as a place asks for; without any, exits of every kind are meant.
  std::vector<Difference> explaining(const ChangePlace& seen, const Sighting& in = {}) const;
  // Those that a guest sees: what it does or writes otherwise may come of them.
  std::vector<Difference> seen_by_guest() const;

 private:
  static bool shows(const Difference& difference, const ChangePlace& place, const Sighting& in);

  std::vector<Difference> differences_;
};

}  // namespace kvmtape
