// How the drain's streams end: all at once when the recording does, or one whose vCPU is gone
// before.
#include <algorithm>

#include "recorder/drain/drain_stream.h"

namespace kvmtape {

// No producer writes any more. All of it goes into the encoder, the last exit without its answer
// too, and into chunks but for the last. May be tried again.
bool Drain::finish_stream(Stream& stream) {
  if (!retry(stream)) return false;
  fill(stream, true);
  while (stream.encoder.full()) {
    if (!write_stream(stream)) return false;
    fill(stream, true);
  }
  add_last_gap(stream);
  return true;
}

// Only what is in a file that somebody can find is safe without the ring; and what a pause threw
// away has its gap when the pause is over.
bool Drain::end_stream(RingHeader* ring) {
  const auto found =
      std::ranges::find(streams_, ring, [](const auto& stream) { return stream->ring; });
  if (found == streams_.end()) return true;
  if (paused_ || monotonic_now_ns() < retry_ns_ || file_.is_deleted()) return false;
  Stream& stream = **found;
  if (!finish_stream(stream) || !write_stream(stream)) return false;
  exits_ended_ += stream.exits();
  lost_ended_ += stream.lost();
  stopped_ended_ += stream.exits_in_pauses();
  streams_.erase(found);
  return true;
}

}  // namespace kvmtape
