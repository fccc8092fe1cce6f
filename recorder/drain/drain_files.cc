// The drain's changes of file: because one is full or old, or because somebody removed it.
#include "recorder/drain/clock_reading.h"
#include "recorder/drain/drain.h"

namespace kvmtape {

// The next one is there before the last one ends: where it cannot be made, rings fill up and losses
// are counted until it can.
bool Drain::begin_next_file() {
  auto next = series_.make_next(session_.uuid);
  if (!next.ok()) {
    note_failure(next.error());
    return false;
  }
  Result<void> done;
  if (!write_session()) return false;
  done = file_.seal();
  if (done.ok()) done = series_.take_place(file_, *next, monotonic_now_ns());
  if (!done.ok()) {
    note_failure(done.error());
    return false;
  }
  bytes_before_ += file_.bytes();
  file_ = std::move(*next);
  chunks_at_cut_ = chunks_at_session_ = 0;
  session_due_ = true;
  return true;
}

// What was in it is gone with it, as somebody wanted; what comes goes into a new one.
bool Drain::replace_deleted_file() {
  auto fresh = TraceFile::create(file_.path(), false, session_.uuid);
  if (!fresh.ok()) {
    Error error = fresh.error();
    error.message = "was removed while it was being written, and " + error.message;
    note_failure(error);
    return false;
  }
  bytes_before_ += file_.bytes();
  file_ = std::move(*fresh);
  chunks_at_cut_ = chunks_at_session_ = 0;
  session_due_ = true;
  return true;
}

}  // namespace kvmtape
