// Everything that `dump --json`, `info` and `stat` would print of a trace, made and read back: it
// must be JSON, whatever bytes the trace holds.
#pragma once

#include "analysis/decoded_exit.h"
#include "analysis/json_writer.h"
#include "replayer/trace_reader.h"

namespace kvmtape::fuzz {

class TraceText {
 public:
  explicit TraceText(const TraceReader& reader);

  void look_at(const Item& item);

 private:
  void check_line();

  const TraceReader& reader_;
  ExitDecoder decoder_;
  DecodedExit decoded_;
  JsonWriter json_;
};

// The same of a trace as a whole; walks it.
void look_at_summaries(TraceReader& reader);

}  // namespace kvmtape::fuzz
