// Pausing a drain: rings are read on, so that the monitor never finds them full, and what is read
// is thrown away and counted.
#include "recorder/drain/drain_stream.h"

namespace kvmtape {

Result<void> Drain::set_paused(bool paused) {
  if (paused == paused_) return {};
  if (paused) {
    if (!cut(false)) return *last_error_;
    for (auto& stream : streams_) {
      stream->pause_seq = stream->encoder.next_seq();
      stream->pause_lost = stream->encoder.lost_total();
    }
    paused_ = true;
    return {};
  }
  for (auto& stream : streams_) {
    if (stream->vcpu_index == kSessionStream) continue;
    for (uint32_t i = 0; i <= stream->reader.block_count(); ++i) {
      fill(*stream, false);
      const bool more = stream->encoder.full();
      write_stream(*stream);
      if (!more) break;
    }
    ChunkEncoder& encoder = stream->encoder;
    const uint64_t skipped = encoder.next_seq() - stream->pause_seq;
    stream->stopped += skipped - (encoder.lost_total() - stream->pause_lost);
    encoder.resume(stream->pause_seq, stream->pause_lost);
    stream->lost_written = stream->pause_lost;
    encoder.add_gap(skipped, GapReason::kStopped, ticks_now(read_clocks_));
  }
  paused_ = false;
  return {};
}

}  // namespace kvmtape
