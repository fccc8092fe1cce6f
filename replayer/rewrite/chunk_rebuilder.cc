#include "replayer/rewrite/chunk_rebuilder.h"

#include <algorithm>
#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

// Whether the encoder can take it: a chunk may say anything.
bool fits(const RecordedExit& exit, uint32_t core_words) {
  const auto run_fits = [&](std::span<const uint8_t> kvm_run) {
    return kvm_run.size() == core_words * kWordBytes ||
           kvm_run.size() == (core_words + kSyncWords) * kWordBytes;
  };
  return run_fits(exit.kvm_run) && exit.data.size() <= kDataBytesMax &&
         (!exit.has_answer ||
          (run_fits(exit.answer_kvm_run) && exit.answer_data.size() <= kDataBytesMax));
}

}  // namespace

void ChunkRebuilder::start(uint64_t seq, uint64_t previous_tsc) {
  if (started_) return;
  started_ = true;
  encoder_.resume(seq, lost_flushed_, previous_tsc);
}

Result<uint64_t> ChunkRebuilder::rebuild(ChunkDecoder& chunk, uint64_t skip_below, uint64_t end_seq,
                                         RecordEditor* editor) {
  const uint32_t core_words = core_words_of(chunk.stream().architecture);
  lost_flushed_ = chunk.lost_total() - std::min(chunk.lost_total(), chunk.lost());
  uint64_t seq = chunk.header().first_seq;
  uint64_t previous_tsc = chunk.previous_tsc();
  for (bool good = chunk.begin().ok(); good;) {
    const auto item = chunk.next();
    if (item == ChunkDecoder::Item::kEnd || item == ChunkDecoder::Item::kCorrupt) break;
    if (item == ChunkDecoder::Item::kSide) {
      const SideRecord& side = chunk.side();
      if (side.next_seq < seq || side.next_seq > end_seq) break;
      // Ends below, or is a part of what ends there.
      const bool skip =
          side.next_seq < skip_below ||
          (side.next_seq == skip_below && (side.next_seq != seq || side.belongs_to_exit));
      if (!skip) {
        start(std::max(seq, skip_below), previous_tsc);
        good = add_side(side, std::max(seq, skip_below), editor);
      }
      seq = side.next_seq;
      if (side.kind == RecordKind::kGap) previous_tsc = 0;
      if (side.kind == RecordKind::kEntry) previous_tsc = side.tsc;
    } else {
      RecordedExit exit = chunk.exit();
      if (exit.seq != seq || exit.seq >= end_seq || !fits(exit, core_words)) break;
      if (exit.seq >= skip_below) {
        start(exit.seq, exit.previous_tsc);
        if (editor != nullptr) editor->edit(exit);
        writer_.add(exit);
      }
      seq = exit.seq + 1;
      previous_tsc = exit.has_answer ? exit.answer_tsc : exit.tsc;
    }
    KVMTAPE_TRY_ASSIGN(const bool fed, feed());
    good &= fed;
  }
  writer_.finish();
  KVMTAPE_TRY_ASSIGN(const bool fed, feed());
  (void)fed;  // an answer that its exit's chunk could not hold is no exit
  start(std::max(seq, skip_below), 0);
  const uint64_t lost = end_seq - std::min(end_seq, encoder_.next_seq());
  if (lost != 0) encoder_.add_gap(lost, GapReason::kDamaged, chunk.header().last_tsc);
  KVMTAPE_TRY(flush());
  return lost;
}

// `seq`: where it begins, or what of it is left begins.
bool ChunkRebuilder::add_side(const SideRecord& from, uint64_t seq, RecordEditor* editor) {
  SideRecord side = from;
  std::vector<uint64_t> cut;
  if (side.next_seq != seq) {  // a gap or a repeat
    if (side.payload.size() < 2 * kWordBytes) return false;
    cut.resize(side.payload.size() / kWordBytes);
    std::memcpy(cut.data(), side.payload.data(), side.payload.size());
    if (side.kind == RecordKind::kGap) store_le(&cut[0], seq);
    if (side.kind == RecordKind::kRepeat && load_le<uint64_t>(&cut[1]) != side.next_seq - seq)
      store_le(&cut[0], seq - 1);  // what it repeats stands in an earlier chunk
    store_le(&cut[1], side.next_seq - seq);
    side.payload = {reinterpret_cast<const uint8_t*>(cut.data()), side.payload.size()};
  }
  if (editor == nullptr || editor->edit(side)) writer_.add(side);
  return true;
}

Result<void> ChunkRebuilder::write_gap(uint64_t first_seq, uint64_t lost, uint64_t tsc) {
  start(first_seq, 0);
  encoder_.add_gap(lost, GapReason::kDamaged, tsc);
  return flush();
}

// False: the encoder refuses what the chunk said.
Result<bool> ChunkRebuilder::feed() {
  std::vector<uint64_t>& words = writer_.words();
  for (size_t done = 0; done < words.size();) {
    done += encoder_.add(std::span(words).subspan(done), true);
    if (done == words.size()) break;
    if (encoder_.malformed()) {
      words.clear();
      return false;
    }
    KVMTAPE_TRY(flush());
  }
  words.clear();
  return true;
}

Result<void> ChunkRebuilder::flush() {
  RebuiltChunk chunk;
  chunk.lost = encoder_.lost_total() - lost_flushed_;
  chunk.exits = encoder_.exits();
  lost_flushed_ = encoder_.lost_total();
  if (!encoder_.finish(place_, chunk.bytes, &chunk.reasons)) return {};
  return sink_(chunk);
}

}  // namespace kvmtape
