// `dump --follow`: what is new in a recording that still runs. Each round opens the recording anew,
// file and rings together, and prints what no round before has printed; the recorder and the
// monitor notice nothing. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "cli/trace_options.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// Knows what was printed. Within a vCPU nothing is printed twice or out of order; an exit that
// became readable late stands behind those of other vCPUs.
class Followed {
 public:
  // Before each walk. An exit that waits for its answer is held back once while the recording
  // runs, so that the line has what the monitor answered; the gap of a stopped recording is held
  // back until something follows it.
  void begin_round(const TraceReader& reader);
  bool is_new(const Item& item);

 private:
  bool waits_for_answer(const Item& item);
  bool still_grows(const Item& item) const;
  bool is_followed(const Item& item) const;  // by one of its vCPU

  const TraceReader* reader_ = nullptr;
  std::unordered_map<uint32_t, uint64_t> next_seq_;     // by vCPU
  std::unordered_map<uint32_t, uint64_t> waiting_seq_;  // by vCPU: held back in a round before
  std::unordered_map<uint32_t, int64_t> last_side_ns_;  // by stream
  struct Taken {  // registers and memory that follow an exit, and may become readable after it
    uint64_t seq = 0;
    uint64_t seen_in_round = 0;
    uint64_t printed = 0;
  };
  std::unordered_map<uint32_t, Taken> taken_;  // by vCPU: with the last exit that was printed
};

// Prints one round: the items that `is_new` lets through; false if nobody reads any more.
using PrintRound = std::function<bool(TraceReader& reader, const SelectOptions& select,
                                      const Selection& selection, Followed& followed)>;

// Rounds until the recording ends or SIGINT or SIGTERM comes. Returns the exit status.
int follow(TraceOptions trace, SelectOptions select, const PrintRound& print, Console& console);

}  // namespace kvmtape
