// Pausing a drain: rings are read on, so that the monitor never finds them full, and what is read
// is thrown away and counted. Each ring is told first, for whoever reads it should this process be
// killed (ring_layout.h, StoppedRange). An exit belongs to the time when it was published: one that
// waits for its answer when the recording is stopped is kept without it, one that waits when it
// goes on is not kept. What a full ring had dropped by then is told of later, within what is thrown
// away; it is a gap of its own all the same.
#include "recorder/drain/drain_stream.h"

namespace kvmtape {

Result<void> Drain::set_paused(bool paused) {
  if (paused == paused_) return {};
  if (paused) {
    std::vector<uint64_t> dropped;
    for (const auto& stream : streams_) dropped.push_back(stream->reader.lost_total());
    if (!cut(true)) return *last_error_;
    for (size_t i = 0; i < streams_.size(); ++i)
      if (streams_[i]->vcpu_index != kSessionStream) streams_[i]->begin_pause(dropped[i]);
    paused_ = true;
    return {};
  }
  end_pause(false);
  return {};
}

void Drain::end_pause(bool producers_ended) {
  for (auto& stream : streams_) {
    if (stream->vcpu_index == kSessionStream) continue;
    for (uint32_t i = 0; i <= stream->reader.block_count(); ++i) {
      fill(*stream, true);
      const bool more = stream->encoder.full();
      write_stream(*stream);
      if (!more) break;
    }
    if (producers_ended) {
      add_last_gap(*stream);
      write_stream(*stream);
    }
    ChunkEncoder& encoder = stream->encoder;
    stream->reader.go_on(encoder.next_seq());
    const uint64_t skipped = encoder.next_seq() - stream->pause_seq;
    stream->stopped += skipped - (encoder.lost_total() - stream->pause_lost);
    stream->is_paused = false;
    encoder.resume(stream->pause_seq, stream->pause_lost);
    stream->lost_written = stream->pause_lost;
    stream->pauses_exits +=
        encoder.add_stop(skipped, stream->pause_dropped, ticks_now(read_clocks_));
  }
  paused_ = false;
}

}  // namespace kvmtape
