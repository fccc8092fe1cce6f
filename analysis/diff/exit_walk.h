// The compared exits of one vCPU, one after the other: what rules leave out is passed over, and the
// memory slots are kept up to date on the way. Both walks that a comparison makes over a recording
// go through here, and so meet the same exits. One thread; decoded() borrows until next().
#pragma once

#include <cstdint>
#include <string>

#include "analysis/decoded_exit.h"
#include "analysis/diff/lost_exits.h"
#include "analysis/diff/normaliser.h"
#include "analysis/memory_slots.h"
#include "analysis/register_set.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class ExitWalk {
 public:
  // All of these outlive the walk; nobody else walks the reader meanwhile. Of the selection counts
  // what it says of exits; calls and marks are all seen.
  ExitWalk(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
           const Selection& selection, uint32_t vcpu_index);

  // False at the end. An exit that was folded into repeats comes once.
  bool next();
  // Decodes it when first asked for.
  const DecodedExit& decoded();
  const RecordedExit& recorded() const { return *item_.exit; }
  const RegisterSets& taken() const { return taken_; }  // with it
  const MemorySlots& slots() const { return slots_; }
  const std::string& guest() const { return guest_; }  // of `kvmtape probe`, by its marks
  int64_t time_ns() const { return item_.time_ns; }
  uint64_t seq() const { return seq_; }
  uint64_t left_out() const { return left_out_; }
  // Once at its end: what it passed over, and the recording's end if that is not here.
  LostList take_lost();

 private:
  bool selects(const Item& exit) const;
  bool selects_what_follows() const;  // behind the last exit
  void take_registers();
  void note(const Item& item);
  void note_gap(Gap gap, int64_t time_ns);

  TraceReader& reader_;
  const ExitDecoder& decoder_;
  const Normaliser& normaliser_;
  const Selection& selection_;
  MemorySlots slots_;
  std::string guest_;
  Item item_;
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
