// Reads a recording, file and rings, and writes a sealed one: what `recover` and `redact` do. A
// chunk that is intact and needs no change is copied byte by byte; what can be read of others is
// encoded anew; what cannot becomes a gap (GapReason::kDamaged). It never stops at damage, and no
// exit comes out that did not go in. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "replayer/trace_reader.h"
#include "schema/base/result.h"
#include "schema/session_codec.h"

namespace kvmtape {

// Changes records on their way. What an exit or side record is changed to must live until the next
// call.
class RecordEditor {
 public:
  virtual ~RecordEditor() = default;
  virtual void edit(Session& session) = 0;
  virtual void edit(RecordedExit& exit) = 0;
  // False: the record is left out.
  virtual bool edit(SideRecord& side) = 0;
};

struct RewriteRequest {
  std::string path;                // to write; never the recording that is read
  bool force = false;              // replace an existing file
  std::string note;                // for the header: what was done, Session::history; what rings
                                   // gave and what was lost is added to it
  RecordEditor* editor = nullptr;  // none: everything stays as it is
};

struct RewriteTotals {
  uint64_t exits_from_file = 0;  // written
  uint64_t exits_from_rings = 0;
  uint64_t exits_damaged = 0;      // lost to damage: known by their sequence numbers
  uint64_t exits_lost_before = 0;  // in gaps that the recorder wrote
  uint64_t chunks_copied = 0;
  uint64_t chunks_rebuilt = 0;
  uint64_t chunks_lost = 0;  // damaged chunks, of any kind
  uint64_t bytes_saved = 0;  // of the file, in chunks of exits that were copied or rebuilt
  uint64_t bytes_lost = 0;   // of the file, in no readable chunk
  uint64_t bytes_written = 0;

  uint64_t exits() const { return exits_from_file + exits_from_rings; }
};

// On error nothing is left at `request.path` but what `force` would have replaced.
Result<RewriteTotals> rewrite_trace(TraceReader& from, const RewriteRequest& request);

}  // namespace kvmtape
