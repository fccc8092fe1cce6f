#include "recorder/drain/drain.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "recorder/drain/drain_stream.h"

namespace kvmtape {
namespace {

constexpr uint64_t kCutIntervalNs = 1'000'000'000;  // what a merging reader holds at most

constexpr uint64_t kRetryIntervalNs = 50'000'000;  // a disk does not get room in less
constexpr uint32_t kRoundsMax = 4;                 // of one ring before the others have their turn

}  // namespace

Drain::Drain(TraceFile file, Session session, const FileBounds& bounds, ClockReader clock)
    : file_(std::move(file)),
      session_(std::move(session)),
      bounds_(bounds),
      series_(file_.path(), bounds),
      read_clocks_(clock),
      clock_(session_.start) {
  next_cut_ns_ = monotonic_now_ns() + kCutIntervalNs;
}
Drain::~Drain() = default;

void Drain::add_stream(RingHeader* ring) {
  const StreamDescription description{ring->vcpu_index, ring->vcpu_id, session_.architecture,
                                      session_.byte_order};
  streams_.push_back(std::make_unique<Stream>(ring, description));
  if (ring->vcpu_index == kSessionStream) return;
  // Whoever made it may have known an earlier state.
  if (paused_)
    streams_.back()->begin_pause(0);
  else
    streams_.back()->reader.go_on(0);
}

void Drain::add_lost_vcpu(const SessionVcpu& vcpu, uint64_t exits_lost) {
  if (exits_lost != 0) lost_vcpus_.emplace_back(vcpu, exits_lost);
}

bool Drain::write_lost_vcpus() {
  for (; lost_vcpus_written_ < lost_vcpus_.size(); ++lost_vcpus_written_) {
    const auto& [vcpu, lost] = lost_vcpus_[lost_vcpus_written_];
    ChunkEncoder encoder({vcpu.index, vcpu.id, session_.architecture, session_.byte_order});
    encoder.add_gap(lost, GapReason::kNoRing, clock_.ticks);
    std::vector<uint8_t> chunk;
    encoder.finish({session_.uuid, cut_number_, clock_, session_.ticks_per_second, 0, 0}, chunk);
    if (!append(chunk, lost, {})) return false;
  }
  return true;
}

// Moves published records into the encoder until the ring is empty or the chunk is full. A ring
// whose records do not hold together (its producer is broken, or not ours) is left where it is: it
// fills up, and what comes is counted as lost.
void Drain::fill(Stream& stream, bool final) {
  while (!stream.encoder.malformed()) {
    if (stream.pending_words > 0) {
      const size_t took = stream.encoder.add({stream.pending.data(), stream.pending_words}, final);
      stream.take(took);
      if (stream.encoder.full()) return;
    }
    if (stream.pending.size() - stream.pending_words <
        stream.reader.batch_words_max() + kBlockStartWords)
      stream.pending.resize(stream.pending_words + 2 * stream.reader.batch_words_max() +
                            kBlockStartWords);
    uint64_t* space = stream.pending.data() + stream.pending_words;
    const RingBatch batch = stream.reader.poll_into(space + kBlockStartWords);
    if (batch.words.empty()) return;
    size_t words = batch.words.size();
    if (batch.block_start) {
      store_le<uint64_t>(
          &space[0],
          kBlockStartWords | uint64_t{static_cast<uint8_t>(RecordKind::kBlockStart)} << 16);
      store_le<uint64_t>(&space[1], load_le<uint64_t>(&batch.words[1]));
      store_le(&space[2], batch.first_seq);
      store_le(&space[3], batch.lost_before);
      words += kBlockStartWords;
    } else {
      std::memmove(space, batch.words.data(), words * kWordBytes);
    }
    stream.pending_words += words;
    stream.segments.push_back({stream.pending_words, batch.begin, batch.words.size()});
    if (crash_memory_) look_for_crashes(stream, stream.pending_words - batch.words.size());
  }
}

// Of what a ring has just brought, from pending[from] on: control calls that say where guest memory
// lies, and crash exits, behind whose registers it then stands.
void Drain::look_for_crashes(Stream& stream, size_t from) {
  for (size_t at = from;;) {
    std::span<const uint64_t> rest(&stream.pending[at], stream.pending_words - at);
    const auto record = take_record(rest);
    if (record.empty()) return;
    at += record.size();
    if (stream.vcpu_index == kSessionStream) {
      if (kind_of_record(record) == RecordKind::kControlCall)
        regions_.note_call(payload_of_record(record));
    } else if (stream.crash_memory.look(record)) {
      slices_.clear();
      stream.crash_memory.take(regions_, slices_);
      stream.insert(at, slices_);
      at += slices_.size();
    }
  }
}

bool Drain::append(const std::vector<uint8_t>& chunk, uint64_t lost,
                   const std::vector<std::pair<uint32_t, uint32_t>>& reasons) {
  if (bounds_.any() && series_.is_full(file_, chunk.size()) && !begin_next_file()) return false;
  if (session_due_ || file_.chunks() - chunks_at_session_ >= kSessionRepeatChunks)
    if (!write_session()) return false;
  auto written = file_.append(chunk, lost, reasons);
  append_fails_ = !written.ok();
  if (append_fails_) note_failure(written.error());
  return !append_fails_;
}

void Drain::note_failure(const Error& error) {
  ++write_errors_;
  last_error_ = error;
  // Where nobody has removed that.
  if (!file_.is_deleted()) last_error_->message += "; what was written before is readable";
  retry_ns_ = monotonic_now_ns() + kRetryIntervalNs;
}

bool Drain::write_session() {
  session_.now = read_clocks_();
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  auto written = file_.append(chunk);
  append_fails_ = !written.ok();
  if (append_fails_) {
    note_failure(written.error());
    return false;
  }
  session_due_ = false;
  chunks_at_session_ = file_.chunks();
  return true;
}

namespace {

// Of how fast a ring fills, not of how full it is: what was read stays in it until its chunk is
// written.
bool is_much(uint32_t unread, uint32_t blocks) { return unread != 0 && unread * 8 >= blocks; }

}  // namespace

// Writes the encoder's chunk; what could not be written is kept for retry().
bool Drain::write_stream(Stream& stream) {
  if (!retry(stream)) return false;
  const uint64_t lost_before = stream.lost_written;
  const uint64_t lost = stream.encoder.lost_total() - lost_before;
  stream.unwritten_reasons.clear();
  const ChunkPlace place{session_.uuid,      cut_number_,       clock_, session_.ticks_per_second,
                         stream.taken.block, stream.taken.bytes};
  stream.chunk_exits = stream.encoder.exits();
  // Better a larger file than lost exits. In the smallest rings one block is much, and usual.
  const uint32_t unread = stream.reader.blocks_unread();
  stream.encoder.set_haste(unread > 1 && is_much(unread, stream.reader.block_count()));
  if (!stream.encoder.finish(place, stream.unwritten, &stream.unwritten_reasons)) return true;
  if (paused_ && stream.vcpu_index != kSessionStream) {
    stream.discard();
    return true;
  }
  stream.unwritten_lost = lost;
  stream.unwritten_end = stream.taken;
  stream.unwritten_seq = stream.encoder.next_seq();
  stream.lost_written = stream.encoder.lost_total();
  return retry(stream);
}

bool Drain::retry(Stream& stream) {
  if (stream.unwritten.empty()) return true;
  if (!append(stream.unwritten, stream.unwritten_lost, stream.unwritten_reasons)) return false;
  stream.unwritten.clear();
  stream.safe = stream.unwritten_end;
  stream.safe_seq = stream.unwritten_seq;
  stream.safe_lost = stream.lost_written;
  stream.reader.release(stream.safe);
  return true;
}

bool Drain::pump() {
  bool hurry = false;
  const bool may_write = last_error_ == std::nullopt || monotonic_now_ns() >= retry_ns_;
  for (auto& stream : streams_) {
    const RingPosition before = stream->reader.position();
    const uint32_t unread = stream->reader.blocks_unread();
    if (may_write && !retry(*stream)) continue;
    // A producer that never pauses must not keep the others, nor this thread's owner, waiting.
    for (uint32_t round = 0; round < kRoundsMax && stream->unwritten.empty(); ++round) {
      fill(*stream, false);
      const bool ring_needs_room =
          stream->reader.blocks_in_use() * 2 >= stream->reader.block_count();
      const bool full =
          stream->encoder.full() || stream->encoder.exits() >= series_.chunk_exits_max();
      if (!full && !(ring_needs_room && !stream->encoder.empty())) break;
      if (!may_write || !write_stream(*stream)) break;
    }
    if (stream->reader.position() != before) hurry |= is_much(unread, stream->reader.block_count());
  }
  if (monotonic_now_ns() >= next_cut_ns_) cut(false);
  // What came while this took its time.
  for (const auto& stream : streams_)
    if (may_write && stream->unwritten.empty() && !stream->encoder.malformed())
      hurry |= is_much(stream->reader.blocks_unread(), stream->reader.block_count());
  return hurry;
}

bool Drain::cut(bool final) {
  const ClockReading now = read_clocks_();
  next_cut_ns_ = now.monotonic_ns + kCutIntervalNs;
  session_.ticks_per_second =
      ticks_per_second(session_.start, now).value_or(session_.ticks_per_second);
  if (file_.is_deleted() && !replace_deleted_file()) return false;
  bool written = true;
  struct Left {
    Stream* stream;
    uint64_t last_block;  // that the ring has by now
  };
  std::vector<Left> left;
  for (auto& stream : streams_) {
    const RingReader& reader = stream->reader;
    if (retry(*stream))
      left.push_back({stream.get(), reader.position().block + reader.blocks_unread()});
    else
      written = false;
  }
  // In turn, a chunk of each: while one ring is emptied the others fill up. And not more than there
  // is now: a producer that never pauses would keep everybody waiting.
  while (!left.empty() && written)
    std::erase_if(left, [&](const Left& ring) {
      fill(*ring.stream, final);
      const bool more = ring.stream->encoder.full() && ring.stream->taken.block <= ring.last_block;
      if (!write_stream(*ring.stream)) written = false;
      return !more;
    });
  if (!written) return false;
  // Of a new file, or one in a removed one's place: without it a reader finds no rings.
  if (file_.chunks() == 0) return write_session();
  if (file_.chunks() == chunks_at_cut_) return true;  // idle: nothing to cut
  std::vector<uint8_t> chunk;
  encode_cut({cut_number_, now}, session_.uuid, chunk);
  if (!append(chunk, 0, {})) return false;
  clock_ = now;
  ++cut_number_;
  chunks_at_cut_ = file_.chunks();
  if (!final && series_.is_old(now.monotonic_ns) && file_.exits() != 0) return begin_next_file();
  return true;
}

Result<void> Drain::flush() {
  if (!cut(false)) return *last_error_;
  // A vCPU may have come of which nothing else has yet.
  if (session_due_ && !write_session()) return *last_error_;
  return file_.sync();
}

// Exits for which no gap record can come any more: dropped last, or in a ring that is not read on.
void Drain::add_last_gap(Stream& stream) {
  ChunkEncoder& encoder = stream.encoder;
  const uint64_t dropped = stream.reader.lost_total() + stream.stopped;
  const uint64_t produced = stream.reader.next_seq();
  if (encoder.malformed() && produced > encoder.next_seq())
    encoder.add_gap(produced - encoder.next_seq(), GapReason::kDamaged, ticks_now(read_clocks_));
  else if (dropped > encoder.lost_total())
    encoder.add_gap(dropped - encoder.lost_total(), GapReason::kRingFull, ticks_now(read_clocks_));
}

// Who does not read a ring to its end knows neither what it holds nor what it has overwritten.
void Drain::count_ring(Stream& stream) {
  std::vector<uint8_t> unused;
  for (bool more = true; more;) {
    fill(stream, true);
    more = stream.encoder.full();
    stream.encoder.finish({}, unused);
  }
  add_last_gap(stream);
  RingReader left(stream.ring);  // from what was released on, which is in the file
  const RingBatch oldest = left.poll();
  if (oldest.skipped_blocks == 0 || oldest.words.empty()) return;
  const uint64_t begin = std::min(oldest.first_seq, stream.encoder.next_seq());
  const uint64_t missing = begin - std::min(begin, stream.safe_seq);
  const uint64_t in_gaps = stream.encoder.lost_total() - stream.safe_lost;
  stream.overwritten = missing - std::min(missing, in_gaps);
}

void Drain::give_up() {
  crash_memory_ = false;
  series_.find_removed();
  file_removed_ = file_.is_deleted();
  if (file_removed_) series_.note_removed(file_);
  for (auto& stream : streams_) count_ring(*stream);
}

Result<void> Drain::finish() {
  if (paused_) end_pause(true);
  for (auto& stream : streams_)
    if (!finish_stream(*stream)) return *last_error_;
  if (!write_lost_vcpus() || !cut(true) || !write_session()) return *last_error_;
  series_.find_removed();
  return file_.seal();
}

DrainTotals Drain::totals() const {
  DrainTotals totals;
  totals.exits = exits_ended_;
  totals.lost = lost_ended_;
  totals.stopped = stopped_ended_;
  for (const auto& [vcpu, lost] : lost_vcpus_) totals.lost += lost;
  for (const auto& stream : streams_) {
    totals.exits += stream->exits();
    totals.lost += stream->lost();
    totals.stopped += stream->exits_in_pauses();
  }
  totals.bytes = bytes_before_ + file_.bytes();
  totals.write_errors = write_errors_;
  totals.files = series_.files_aside() + (file_removed_ ? 0 : 1);
  totals.exits_removed = series_.removed().exits;
  totals.lost_removed = series_.removed().lost;
  totals.bytes_removed = series_.removed().bytes;
  return totals;
}

}  // namespace kvmtape
