// The second walk over one vCPU of two recordings, along their alignment: says of each exit that is
// not the same on both sides what became of it. Both are read ahead on threads of their own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/diff/change_log.h"
#include "analysis/diff/field_changes.h"
#include "analysis/diff/lost_exits.h"
#include "analysis/diff/read_ahead.h"
#include "analysis/diff/register_changes.h"
#include "analysis/diff/walk_ahead.h"

namespace kvmtape {

// One recording of the two.
struct DiffSide {
  TraceReader& reader;
  ExitDecoder decoder;
  const Symbols* symbols = nullptr;
  std::vector<ExitIdentity> exits = {};  // of the vCPU at hand
  LostList lost = {};                    // likewise
  size_t skipped = 0;                    // in front of those
  uint64_t left_out = 0;                 // of the vCPU
  bool knew_slots = false;               // on the walk over them
  // False: the other recording knows no memory slots, and nothing can be said by them of this one.
  bool by_slot = true;
  MemorySlots no_slots = MemorySlots();

  GuestAddresses addresses(const MemorySlots& slots) const {
    return {by_slot ? slots : no_slots, symbols};
  }
};

// What `dump` says of the exit.
ExitSide exit_side(const ExitDecoder& decoder, uint64_t seq, const DecodedExit& decoded);

class VcpuChanges {
 public:
  // All of these outlive it; nobody else walks the readers meanwhile.
  VcpuChanges(DiffSide& a, DiffSide& b, uint32_t vcpu, const Alignment& alignment,
              const DiffOptions& options, Normaliser& normaliser, const KernelDifferences& kernels,
              ChangeLog& log, DiffTotals& totals);

  void walk();

 private:
  // Of an exit that only one side has: what it is listed by.
  struct Named {
    ExitIdentity identity = 0;
    uint64_t hash = 0;  // 0: nothing is known here
  };
  // One side of the walk.
  struct Steps {
    DiffSide& side;
    WalkAhead walk;
    uint32_t next = 0;  // exits that have been stepped over
    bool has = false;
    std::vector<Named> named = std::vector<Named>(kNamedSize);  // by identity
    uint64_t named_at = 0;                                      // which version of the slots

    void step() { ++next, has = walk.next(); }
    // The last exit before a loss: its answer was lost with what followed.
    bool lost_answer() const {
      return !walk.has_answer() && !LossesBetween(side.lost, next + 1, next + 1).empty();
    }
    ComparedExit compared() { return {walk.decoded(), side.addresses(walk.slots()), walk.guest()}; }
    TakenRegisters taken() const { return {side.decoder.context(), walk.taken(), side.symbols}; }
    ExitSide here() { return exit_side(side.decoder, walk.seq(), walk.decoded()); }
    ExitSide none() const { return {walk.seq(), {}, {}, {}}; }
  };

  static constexpr size_t kNamedSize = 4096;

  void pass_over_head(const AlignedRun& first);
  void replaced_until(uint32_t a_end, uint32_t b_end);
  void only_here_until(ChangeKind kind, uint32_t end, LossesBetween& lost_there,
                       uint64_t& count_lost);
  uint64_t name_of(Steps& here) const;
  void only_in(ChangeKind kind);
  void same_or_changed();
  void changed();
  bool is_ignored(const std::vector<KernelDifferences::Difference>& explanations) const;

  const uint32_t vcpu_;
  const Alignment& alignment_;
  const DiffOptions& options_;
  Normaliser& normaliser_;
  const KernelDifferences& kernels_;
  ChangeLog& log_;
  DiffTotals& totals_;
  ReadAhead ahead_;  // of both
  Steps a_, b_;
  std::vector<FieldDifference> differences_;
};

}  // namespace kvmtape
