// The compared exits of one vCPU, one after the other: what rules leave out is passed over, and the
// memory slots are kept up to date on the way. Both walks that a comparison makes over a recording
// go through here, and so meet the same exits. Those that were folded into repeats come one by one,
// as they happened, at times between the first and the last of them. One thread; decoded() borrows
// until next().
#pragma once

#include <cstdint>
#include <string>

#include "analysis/decoded_exit.h"
#include "analysis/diff/lost_exits.h"
#include "analysis/diff/normaliser.h"
#include "analysis/memory_slots.h"
#include "analysis/register_set.h"
#include "analysis/repeated_exits.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class ExitWalk {
 public:
  // All of these outlive the walk; nobody else walks the reader meanwhile. Of the selection counts
  // what it says of exits; calls and marks are all seen.
  ExitWalk(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
           const Selection& selection, uint32_t vcpu_index);

  // So many folded exits are given one by one at most, so that a damaged recording that claims
  // 2^40 does not take all memory; those of a repeat beyond are passed over.
  static constexpr uint64_t kRepeatsMax = uint64_t{1} << 26;

  // False at the end.
  bool next();
  bool is_repeat() const { return item_.kind == Item::Kind::kRepeat; }  // of the one before
  // Decodes it when first asked for.
  const DecodedExit& decoded();
  const RecordedExit& recorded() const { return *item_.exit; }
  const RegisterSets& taken() const { return taken_; }  // with it
  const MemorySlots& slots() const { return slots_; }
  bool knew_slots() const { return knew_slots_; }      // at any time up to now
  const std::string& guest() const { return guest_; }  // of `kvmtape probe`, by its marks
  int64_t time_ns() const { return item_.time_ns; }
  uint64_t seq() const { return seq_; }
  uint64_t left_out() const { return left_out_; }
  // Once at its end: what it passed over, and the recording's end if that is not here.
  LostList take_lost();

 private:
  bool selects_kind(const RecordedExit& exit) const;
  bool selects_moment() const;
  bool passes();  // item_, at its seq and time
  void begin_repeats();
  bool next_repeat();
  bool selects_what_follows() const;  // behind the last exit
  void take_registers();
  void note(const Item& item);
  void note_gap(Gap gap, int64_t time_ns);

  TraceReader& reader_;
  const ExitDecoder& decoder_;
  const Normaliser& normaliser_;
  const Selection& selection_;
  MemorySlots slots_;
  bool knew_slots_ = false;
  std::string guest_;
  Item item_;
  RepeatedExits repeats_;
  uint64_t repeats_left_ = 0;  // of those
  uint64_t repeats_room_ = kRepeatsMax;
  RegisterSets taken_;
  DecodedExit decoded_;
  bool is_decoded_ = false;
  uint64_t last_seq_ = 0;  // of all exits, selected or not
  int64_t last_ns_ = 0;
  uint32_t passed_ = 0;  // exits that next() gave
  LostList lost_;
  uint64_t seq_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace kvmtape
