#include "recorder/flight/ring_snapshot.h"

#include <array>

#include "schema/base/byte_cursor.h"
#include "schema/chunk_codec.h"
#include "schema/file_order.h"
#include "schema/ring_reader.h"

namespace kvmtape {
namespace {

class SnapshotWriter {
 public:
  // Without a file it only counts.
  SnapshotWriter(TraceFile* file, const Session& session, const ClockReading& now)
      : file_(file), session_(session), now_(now) {}

  Result<void> write_session() {
    std::vector<uint8_t> chunk;
    encode_session(session_, chunk);
    return file_->append(chunk);
  }

  Result<void> write_ring(const SnapshotRing& of) {
    RingHeader* ring = of.ring;
    const bool crashed = of.crashes != nullptr && !of.crashes->empty();
    std::vector<uint64_t> with_slices;
    ChunkEncoder encoder(
        {ring->vcpu_index, ring->vcpu_id, session_.architecture, session_.byte_order});
    // relaxed: where exits are only counted, no gap record follows before others are kept again
    const uint64_t counted_to = ring->next_seq.load(std::memory_order_relaxed);
    // acquire: pairs with the release in RingWriter::start_block
    const uint64_t last_block = ring->open_block.load(std::memory_order_acquire);
    lost_written_ = 0;
    RingReader reader(ring);
    bool first = true;
    for (;;) {
      const RingBatch batch = reader.poll();
      if (batch.words.empty()) break;
      if (first) {
        encoder.resume(batch.first_seq, batch.lost_before);
        lost_written_ = batch.lost_before;
        first = false;
      } else if (batch.block_start) {
        const auto start = block_start_record(batch);
        encoder.add(start, true);
      }
      std::span<const uint64_t> words = batch.words;
      if (crashed) words = with_slices = of.crashes->put_into(words);
      for (;;) {
        words = words.subspan(encoder.add(words, true));
        if (encoder.full()) KVMTAPE_TRY(flush(encoder, batch.begin));
        if (words.empty() || encoder.malformed()) break;
      }
      if (batch.begin.block >= last_block || encoder.malformed()) break;
    }
    if (of.crashes != nullptr && counted_to > encoder.next_seq() && !encoder.malformed())
      encoder.add_gap(counted_to - encoder.next_seq(), why_of_last_gap(*ring), now_.ticks);
    return flush(encoder, reader.position());
  }

  Result<void> write_lost(const SessionVcpu& vcpu, uint64_t lost) {
    ChunkEncoder encoder({vcpu.index, vcpu.id, session_.architecture, session_.byte_order});
    encoder.add_gap(lost, GapReason::kNoRing, now_.ticks);
    lost_written_ = 0;
    return flush(encoder, {});
  }

  Result<void> write_cut() {
    std::vector<uint8_t> chunk;
    encode_cut({0, now_}, session_.uuid, chunk);
    return file_->append(chunk);
  }

  const RingContents& counted() const { return counted_; }

 private:
  using Record = std::array<uint64_t, kRecordHeaderWords + sizeof(BlockStartRecord) / kWordBytes>;
  static Record block_start_record(const RingBatch& batch) {
    Record record{};
    store_le<uint64_t>(
        &record[0], record.size() | uint64_t{static_cast<uint8_t>(RecordKind::kBlockStart)} << 16);
    record[1] = batch.words.size() > 1 ? batch.words[1] : 0;
    store_le(&record[2], batch.first_seq);
    store_le(&record[3], batch.lost_before);
    return record;
  }

  Result<void> flush(ChunkEncoder& encoder, RingPosition position) {
    std::vector<uint8_t> chunk;
    std::vector<std::pair<uint32_t, uint32_t>> reasons;
    const uint64_t lost = encoder.lost_total() - lost_written_;
    lost_written_ = encoder.lost_total();
    if (!encoder.finish({session_.uuid, 0, session_.start, session_.ticks_per_second,
                         position.block, position.bytes},
                        chunk, &reasons))
      return {};
    IndexEntry entry = index_entry_of(0, load_file_struct<ChunkHeader>(chunk.data()));
    entry.lost = lost;
    counted_.exits += entry.recorded();
    counted_.lost += lost;
    return file_ == nullptr ? Result<void>{} : file_->append(chunk, lost, std::move(reasons));
  }

  TraceFile* const file_;
  const Session& session_;
  const ClockReading now_;
  uint64_t lost_written_ = 0;
  RingContents counted_;
};

}  // namespace

Result<void> write_ring_snapshot(TraceFile& file, const Session& session,
                                 std::span<const SnapshotRing> rings, LostVcpus lost,
                                 const ClockReading& now) {
  SnapshotWriter writer(&file, session, now);
  KVMTAPE_TRY(writer.write_session());
  for (const SnapshotRing& ring : rings) KVMTAPE_TRY(writer.write_ring(ring));
  for (const auto& [vcpu, exits] : lost) KVMTAPE_TRY(writer.write_lost(vcpu, exits));
  KVMTAPE_TRY(writer.write_cut());
  return file.seal();
}

RingContents count_rings(const Session& session, std::span<const SnapshotRing> rings,
                         LostVcpus lost, const ClockReading& now) {
  SnapshotWriter counter(nullptr, session, now);
  for (const SnapshotRing& ring : rings) (void)counter.write_ring(ring).ok();
  for (const auto& [vcpu, exits] : lost) (void)counter.write_lost(vcpu, exits).ok();
  return counter.counted();
}

}  // namespace kvmtape
