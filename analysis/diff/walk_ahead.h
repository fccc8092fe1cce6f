// An ExitWalk on a second thread, some thousand exits ahead of who looks at them: reading is most
// of what the second walk over two recordings costs, and both sides' can be done at once. Of the
// exits that are asked for the bytes are kept until they have been passed, of the others where they
// stand. Memory: four batches, so that it goes on while somebody looks long at one. What its
// accessors give lives until next().
//
// One thread uses it; nobody else uses the reader meanwhile. Where no second thread can be had,
// batches are read when they are needed. What reading throws (no memory) comes out of next(), and
// is the walk's end.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/diff/exit_walk.h"
#include "analysis/memory_slots.h"
#include "analysis/register_set.h"
#include "replayer/owned_exit.h"

namespace kvmtape {

class WalkAhead {
 public:
  // `is_wanted` is asked, on whichever thread, about the numbers of exits behind `skipped`: 0, 1, 2
  // and so on; what it looks at does not change meanwhile. The rest as for ExitWalk.
  WalkAhead(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
            const Selection& selection, uint32_t vcpu_index, uint64_t skipped,
            std::function<bool(uint32_t)> is_wanted);
  ~WalkAhead();
  WalkAhead(const WalkAhead&) = delete;
  WalkAhead& operator=(const WalkAhead&) = delete;

  // False at the end.
  bool next();
  uint64_t seq() const { return here_.seq; }
  int64_t time_ns() const { return here_.time_ns; }
  // Of an exit that is wanted only.
  bool has_answer() const { return wanted().recorded.exit().has_answer; }
  bool failed() const { return wanted().recorded.exit().ret < 0; }
  const DecodedExit& decoded();  // when first asked for
  const Exit& exit();            // of that the first half, without the answer
  const MemorySlots& slots() const { return *wanted().slots; }
  const std::string& guest() const { return *wanted().guest; }
  const RegisterSets& taken() const { return wanted().taken; }

 private:
  // Of a batch, whichever comes first.
  static constexpr size_t kExitsMax = 8192, kWantedMax = 2048, kBytesMax = 8 << 20;
  static constexpr size_t kBatches = 4;
  static constexpr uint32_t kNotWanted = ~uint32_t{0};

  struct Here {
    uint64_t seq = 0;
    int64_t time_ns = 0;
    uint32_t wanted = kNotWanted;  // in Batch::wanted
  };
  struct Wanted {
    OwnedExit recorded;
    std::shared_ptr<const MemorySlots> slots;
    std::shared_ptr<const std::string> guest;
    RegisterSets taken;
  };
  struct Batch {
    std::vector<Here> exits;
    std::vector<Wanted> wanted;  // keeps its memory from one use to the next
    size_t wanted_count = 0;
    uint64_t end_seq = 0;  // behind the last exit of all
    bool is_last = false;
    std::exception_ptr thrown{};
  };

  void fill(Batch& batch);
  size_t keep(Wanted& wanted);  // returns its bytes
  bool try_fill(Batch& batch) noexcept;
  bool next_batch();
  void fill_ahead();
  Batch& batch(uint64_t number) { return batches_[number % kBatches]; }
  const Batch& current() const { return batches_[current_ % kBatches]; }
  const Wanted& wanted() const { return current().wanted[here_.wanted]; }

  const ExitDecoder& decoder_;  // used by both: it does not change

  // Of who fills.
  ExitWalk walk_;
  uint64_t skipped_;
  uint32_t number_ = 0;
  std::function<bool(uint32_t)> is_wanted_;
  std::shared_ptr<const MemorySlots> slots_;
  std::shared_ptr<const std::string> guest_;

  // Of who looks.
  std::array<Batch, kBatches> batches_;
  uint64_t current_ = 0;  // which batch
  size_t at_ = 0;         // in it
  Here here_;
  DecodedExit decoded_;
  enum class Parts : uint8_t { kNone, kExit, kBoth } have_ = Parts::kNone;  // of decoded_

  // Between them, under the mutex: batches filled, and passed, of which each may be filled again.
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t filled_ = 0, passed_ = 0;
  bool stop_ = false;
  std::thread filler_;  // last: it uses all of the above
};

}  // namespace kvmtape
