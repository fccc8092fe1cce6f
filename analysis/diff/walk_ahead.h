// An ExitWalk that is read some thousand exits ahead of who looks at them: reading is most of what
// the second walk over two recordings costs, and both sides' can be done at once. Of the exits that
// are asked for the bytes that are decoded are kept until they have been passed, of the others
// where they stand. Memory: a few batches, so that it goes on while somebody looks long at one.
// What its accessors give lives until next().
//
// One thread uses it; nobody else uses the reader meanwhile. What reading throws (no memory) comes
// out of next(), and is the walk's end.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/diff/decoded_bytes.h"
#include "analysis/diff/exit_walk.h"
#include "analysis/diff/read_ahead.h"
#include "analysis/memory_slots.h"
#include "analysis/register_set.h"
#include "replayer/owned_exit.h"

namespace kvmtape {

class WalkAhead {
 public:
  // Of exits that are numbered 0, 1, 2 and so on behind `skipped`, `next_wanted` is asked for the
  // first that is wanted at or behind a number, which rises; on whichever thread, and what it looks
  // at does not change meanwhile. The rest as for ExitWalk.
  WalkAhead(ReadAhead& ahead, TraceReader& reader, const ExitDecoder& decoder,
            const Normaliser& normaliser, const Selection& selection, uint32_t vcpu_index,
            uint64_t skipped, std::function<uint32_t(uint32_t)> next_wanted);

  // False at the end.
  bool next();
  uint64_t seq() const { return here_.seq; }
  int64_t time_ns() const { return here_.time_ns; }
  // Of an exit that is wanted only.
  bool has_answer() const { return wanted().recorded.exit().has_answer; }
  bool failed() const { return wanted().recorded.exit().ret < 0; }
  const DecodedExit& decoded();  // when first asked for
  const Exit& exit();            // of that the first half, without the answer
  const MemorySlots& slots() const { return *wanted().known->slots; }
  const std::string& guest() const { return wanted().known->guest; }
  const RegisterSets& taken() const { return wanted().taken; }

 private:
  // Of a batch, whichever comes first: a processor's second cache holds one.
  static constexpr size_t kExitsMax = 8192, kWantedMax = 512, kBytesMax = 2 << 20;
  static constexpr size_t kBatches = 8;
  static constexpr uint32_t kNotWanted = ~uint32_t{0};

  struct Here {
    uint64_t seq = 0;
    int64_t time_ns = 0;
    uint32_t wanted = kNotWanted;  // in Batch::wanted
  };
  // What was known where an exit stands, the same for most.
  struct Known {
    std::shared_ptr<const MemorySlots> slots;
    std::string guest;
  };
  struct Wanted {
    OwnedExit recorded;
    const Known* known = nullptr;  // one of the batch's
    RegisterSets taken;
  };
  struct Batch {
    std::vector<Here> exits;
    std::vector<Wanted> wanted;  // keeps its memory from one use to the next
    size_t wanted_count = 0;
    std::vector<std::shared_ptr<const Known>> known;
    uint64_t end_seq = 0;  // behind the last exit of all
    bool is_last = false;
    std::exception_ptr thrown{};
  };

  void fill(Batch& batch);
  size_t keep(Batch& batch);  // returns its bytes
  bool try_fill(Batch& batch) noexcept;
  bool next_batch();
  Batch& batch(uint64_t number) { return batches_[number % kBatches]; }
  const Wanted& wanted() const { return current_->wanted[here_.wanted]; }

  const ExitDecoder& decoder_;  // used by both: it does not change

  // Of who fills.
  ExitWalk walk_;
  uint64_t skipped_;
  uint32_t number_ = 0;
  std::function<uint32_t(uint32_t)> next_wanted_;
  uint32_t wanted_at_ = 0;
  std::shared_ptr<const Known> known_;
  DecodedBytes decoded_bytes_;

  // Of who looks.
  uint64_t next_number_ = 0;  // of the batch behind this one
  Batch* current_ = nullptr;  // nullptr: before the first
  size_t at_ = 0;             // in it
  Here here_;
  DecodedExit decoded_;
  enum class Parts : uint8_t { kNone, kExit, kBoth } have_ = Parts::kNone;  // of decoded_

  std::array<Batch, kBatches> batches_;
  ReadAhead::Queue queue_;  // last: it uses all of the above
};

}  // namespace kvmtape
