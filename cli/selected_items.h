// A walk over what SelectOptions ask for. Beyond what the reader selects:
//  - an exit goes by its decoded reason: one that a failed KVM_RUN left over is no such exit;
//  - marks and calls are the whole recording's: --vcpu, --exit and --seq drop them, --time does
//  not;
//  - with --tail N the walk begins at the first of the last N exits.
// One thread; outlived by the reader and the decoder.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "cli/trace_options.h"
#include "replayer/exit_decoder.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class SelectedItems {
 public:
  // Walks the recording once more if there is a --tail.
  SelectedItems(TraceReader& reader, const SelectOptions& options, const Selection& selection,
                const ExitDecoder& decoder);

  // False at the end.
  bool next(Item& item);
  // Exits in front of the tail.
  uint64_t skipped() const { return skipped_; }

 private:
  bool next_taken(Item& item);
  bool takes(const Item& item);

  TraceReader& reader_;
  const ExitDecoder& decoder_;
  const bool by_reason_;
  const bool with_side_;
  Exit exit_;
  std::unordered_map<uint32_t, uint64_t> last_taken_;  // by vCPU: sequence of its exit
  uint64_t skipped_ = 0;
  uint64_t to_skip_ = 0;
  bool before_tail_ = false;
};

}  // namespace kvmtape
