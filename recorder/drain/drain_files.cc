// The drain's changes of file: because one is full or old, or because somebody removed it.
#include <unistd.h>

#include <utility>

#include "recorder/drain/clock_reading.h"
#include "recorder/drain/drain.h"

namespace kvmtape {

// The next one is there, with its header, before the last one ends: where it cannot be made, rings
// fill up and losses are counted until it can. The last is sealed when its name is the next one's:
// whoever is killed on the way leaves a file under that name that is not sealed and names the
// rings.
bool Drain::begin_next_file() {
  next_file_fails_ = true;  // until it is done
  auto next = series_.make_next(session_.uuid);
  if (!next.ok()) {
    note_failure(next.error());
    return false;
  }
  if (!write_session()) return false;
  std::vector<uint8_t> header;
  encode_session(session_, header);
  Result<void> done = next->append(header);
  if (done.ok()) done = series_.take_place(file_, *next, monotonic_now_ns());
  if (!done.ok()) {
    note_failure(done.error());
    ::unlink(next->path().c_str());
    return false;
  }
  next_file_fails_ = false;
  // Without its footer it is complete all the same.
  if (auto sealed = file_.seal(); !sealed.ok()) note_failure(sealed.error());
  bytes_before_ += file_.bytes();
  series_.end_last(file_);
  file_ = std::move(*next);
  chunks_at_cut_ = chunks_at_session_ = file_.chunks();
  return true;
}

// What was in it is gone with it, as somebody wanted; what comes goes into a new one.
bool Drain::replace_deleted_file() {
  auto fresh = TraceFile::create(file_.path(), false, session_.uuid);
  file_removed_ = !fresh.ok();
  if (file_removed_) {
    Error error = fresh.error();
    error.message = "was removed while it was being written, and " + error.message;
    note_failure(error);
    return false;
  }
  bytes_before_ += file_.bytes();
  series_.note_removed(file_);
  file_ = std::move(*fresh);
  chunks_at_cut_ = chunks_at_session_ = 0;
  session_due_ = true;
  return true;
}

}  // namespace kvmtape
