// One ring on its way into chunks: the drain's own, for its .cc files alone, on its thread. What is
// taken from the ring goes back to its producer when the chunk that holds it is in the file.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "recorder/drain/crash_memory.h"
#include "recorder/drain/drain.h"

namespace kvmtape {

// What fill() puts in front of a block's records.
inline constexpr size_t kBlockStartWords =
    kRecordHeaderWords + sizeof(BlockStartRecord) / kWordBytes;

struct Drain::Stream {
  Stream(RingHeader* producers, const StreamDescription& description)
      : ring(producers),
        reader(producers),
        encoder(description),
        vcpu_index(description.vcpu_index),
        crash_memory(*producers, description.architecture) {
    pending.resize(2 * reader.batch_words_max() + kBlockStartWords);
    taken = safe = reader.position();
  }

  RingHeader* ring;
  RingReader reader;
  ChunkEncoder encoder;
  uint32_t vcpu_index;
  CrashMemory crash_memory;

  // Words handed out by the reader and not yet taken by the encoder: [0, pending_words).
  std::vector<uint64_t> pending;
  size_t pending_words = 0;
  // Where they stand in the ring: segments of `pending` in order.
  struct Segment {
    size_t end;          // in pending
    RingPosition begin;  // of its first word in the ring
    size_t words;
  };
  std::vector<Segment> segments;
  RingPosition taken;  // everything before it is in the encoder or in the file
  RingPosition safe;   // everything before it is in the file

  // A chunk that could not be written.
  std::vector<uint8_t> unwritten;
  uint64_t unwritten_lost = 0;
  std::vector<std::pair<uint32_t, uint32_t>> unwritten_reasons;
  RingPosition unwritten_end;
  uint64_t unwritten_seq = 0;  // where it ends
  uint64_t lost_written = 0;
  uint64_t safe_seq = 0, safe_lost = 0;  // of what is in the file: its end, and of it in gaps
  uint64_t overwritten = 0;              // exits in the encoder alone: they will not be in the file

  // Of a pause.
  bool is_paused = false;
  uint64_t pause_seq = 0, pause_lost = 0, pause_exits = 0;  // when it began
  uint64_t pause_dropped = 0;                               // of its exits the first, see stop()
  uint32_t chunk_exits = 0;                                 // in the chunk at hand
  uint64_t discarded = 0;                                   // exits that were read and not written
  uint64_t stopped = 0;       // exits in gaps that pauses made, but for those lost meanwhile
  uint64_t pauses_exits = 0;  // and with them, of the pauses that are over

  // In the file, or on the way there. What a pause reads is neither, but lost, as its gap will say.
  uint64_t exits() const {
    return is_paused ? pause_exits : encoder.exits_total() - discarded - overwritten;
  }
  // The producer counts a drop before its gap record comes by.
  uint64_t lost() const {
    const uint64_t in_gaps = encoder.lost_total();
    const uint64_t known = std::max(in_gaps, reader.lost_total() + stopped);
    if (!is_paused) return overwritten + known;
    return pause_lost + (encoder.next_seq() - pause_seq) + (known - in_gaps);
  }

  // Lost as wanted. Of a drop in a pause whose gap record has not come yet, at once: what is lost
  // beside them would become less when it comes.
  uint64_t exits_in_pauses() const {
    const uint64_t so_far = is_paused ? lost() - pause_lost : 0;
    return pauses_exits + so_far - std::min(so_far, pause_dropped);
  }

  // `dropped`: what reader.lost_total() was before all that had been published went into the file.
  // If no gap record of that has come yet, it is the next thing to come.
  void begin_pause(uint64_t dropped) {
    pause_dropped = encoder.malformed()
                        ? 0
                        : dropped + stopped - std::min(dropped + stopped, encoder.lost_total());
    pause_seq = encoder.next_seq();
    pause_lost = encoder.lost_total();
    pause_exits = exits();
    is_paused = true;
    reader.stop(pause_seq, pause_dropped);
  }

  // The encoder's last chunk is not wanted.
  void discard() {
    unwritten.clear();
    discarded += chunk_exits;
    lost_written = encoder.lost_total();
    safe = taken;
    reader.release(safe);
  }

  // Puts words that stand in no ring in front of pending[at], which lies in the last segment or
  // just behind it.
  void insert(size_t at, const std::vector<uint64_t>& words) {
    pending.insert(pending.begin() + static_cast<ptrdiff_t>(at), words.begin(), words.end());
    pending_words += words.size();
    Segment& last = segments.back();
    if (at == last.end) return;
    const size_t behind = last.end - at;
    Segment rest{last.end + words.size(), last.begin, behind};
    last.end = at;
    last.words -= behind;
    rest.begin.bytes += last.words * kWordBytes;
    segments.push_back(rest);
  }

  // The encoder took the first `words` words of `pending`.
  void take(size_t words) {
    size_t kept = 0;
    for (const Segment& segment : segments) {
      if (words >= segment.end) {
        taken = {segment.begin.block, segment.begin.bytes + segment.words * kWordBytes};
        continue;
      }
      const size_t start = segment.end - segment.words;
      const size_t skip = words > start ? words - start : 0;
      const RingPosition begin{segment.begin.block, segment.begin.bytes + skip * kWordBytes};
      if (kept == 0) taken = begin;
      segments[kept++] = {segment.end - words, begin, segment.words - skip};
    }
    segments.resize(kept);
    std::memmove(pending.data(), pending.data() + words, (pending_words - words) * kWordBytes);
    pending_words -= words;
  }
};

}  // namespace kvmtape
