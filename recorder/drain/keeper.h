// Keeper: whoever makes a recording out of rings. Two do: the Drain writes all of it as it comes,
// the FlightRecorder keeps the last of it in the rings until something happens. Their owner, a
// thread of the monitor or the `record` process, calls pump() and sleeps in between; one thread at
// a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"
#include "schema/ring_layout.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct DrainTotals {
  // Written or encoded, and the files' bytes; of a flight recorder: those of its last snapshot.
  // What is thrown away while the recording is stopped is lost as it comes.
  uint64_t exits = 0;
  uint64_t lost = 0;
  uint64_t stopped = 0;  // of the lost: while the recording was stopped, as somebody wanted
  uint64_t bytes = 0;
  uint64_t write_errors = 0;  // times an append failed
  uint64_t files = 1;         // that hold them
  // Of these, what went with files that were removed: for FileBounds, or by somebody else.
  uint64_t exits_removed = 0, lost_removed = 0, bytes_removed = 0;
};

struct FlightTotals {
  uint64_t exits = 0;
  uint64_t lost = 0;  // while it was stopped, or of vCPUs without a ring: in every snapshot to come
  uint64_t snapshots = 0;  // written
};

class Keeper {
 public:
  virtual ~Keeper() = default;

  // The ring outlives the keeper. The session ring has vcpu_index kSessionStream.
  virtual void add_stream(RingHeader* ring) = 0;
  // The ring's producer has ended. True: all that was in it is in the file, and it is not looked at
  // any more. False: not now, or the last exits are to stay where they are.
  virtual bool end_stream(RingHeader*) { return false; }
  // A vCPU that found no memory for a ring: `exits_lost` is written as a gap by finish().
  virtual void add_lost_vcpu(const SessionVcpu& vcpu, uint64_t exits_lost) = 0;
  virtual Session& session() = 0;
  virtual const Session& session() const = 0;
  // The header changed (a vCPU came): it is written again before the next chunk.
  virtual void note_session_changed() = 0;

  // The header is on the disk: from here on file and rings together can be read.
  virtual Result<void> begin() = 0;
  // Does what is due. True: come back sooner.
  virtual bool pump() = 0;
  // What has been published so far is in a file, and on the disk; `reason` says why.
  virtual Result<void> snapshot(std::string_view reason) = 0;
  // While it is paused, exits are only counted: they become one gap. Any number of times.
  virtual Result<void> set_paused(bool paused) = 0;
  virtual bool paused() const = 0;
  // No producer may write any more: everything that is to be kept, sealed. On error the rings hold
  // what is not in a file.
  virtual Result<void> finish() = 0;
  // finish() failed and will not be tried again: the totals become those of files and rings
  // together, as who reads them finds.
  virtual void give_up() {}

  virtual DrainTotals totals() const = 0;
  // Whether what was to be written last could not be, and is tried again; and why, or why once.
  virtual bool write_fails() const = 0;
  virtual const std::optional<Error>& last_error() const = 0;
  // What a flight recorder has seen go by, most of which is in no file; else nothing.
  virtual std::optional<FlightTotals> flight_totals() const { return std::nullopt; }
  // The file that is being written, or was last.
  virtual const std::string& path() const = 0;
};

}  // namespace kvmtape
