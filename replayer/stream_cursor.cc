#include "replayer/stream_cursor.h"

#include <algorithm>
#include <cstring>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

template <typename Payload>
bool read_payload(const SideRecord& side, Payload& payload) {
  if (side.payload.size() < sizeof payload) return false;
  std::memcpy(&payload, side.payload.data(), sizeof payload);
  return true;
}

uint64_t number_at(const SideRecord& side, size_t word) {
  return load_le<uint64_t>(side.payload.data() + word * kWordBytes);
}

}  // namespace

StreamCursor::StreamCursor(ChunkStore& store, const TraceClock& clock, const Selection& selection,
                           size_t stream, bool verify)
    : store_(store),
      clock_(clock),
      selection_(selection),
      number_in_store_(stream),
      stream_(store.streams()[stream]),
      verify_(verify) {
  item_.vcpu_index = stream_.vcpu_index;
}

bool StreamCursor::seq_selected(uint64_t first, uint64_t last) const {
  return !selection_.seq || (first <= selection_.seq->second && last >= selection_.seq->first);
}

bool StreamCursor::time_selected(int64_t ns) const {
  return !selection_.time_ns ||
         (ns >= selection_.time_ns->first && ns <= selection_.time_ns->second);
}

// By the header alone.
bool StreamCursor::chunk_selected(const ChunkRef& ref) const {
  const IndexEntry& entry = ref.entry;
  const bool empty = entry.first_seq == entry.end_seq;
  if (!empty && !seq_selected(entry.first_seq, entry.end_seq - 1)) return false;
  if (selection_.time_ns) {
    if (clock_.time_ns(entry.first_tsc) > selection_.time_ns->second) return false;
    // last_tsc is of the last exit; marks and calls stand behind it until the next chunk begins.
    if (next_ < stream_.chunks.size()) {
      const uint64_t next = store_.chunks()[stream_.chunks[next_]].entry.first_tsc;
      if (clock_.time_ns(std::max(entry.last_tsc, next)) < selection_.time_ns->first) return false;
    }
  }
  // Gaps and repeats are shown whatever reasons were asked for; so is what has no exits.
  if (selection_.reasons.empty() || entry.reasons.empty() || empty ||
      entry.end_seq - entry.first_seq != entry.exits)
    return true;
  return std::any_of(entry.reasons.begin(), entry.reasons.end(), [&](const auto& pair) {
    return std::find(selection_.reasons.begin(), selection_.reasons.end(), pair.first) !=
           selection_.reasons.end();
  });
}

bool StreamCursor::advance() {
  has_item_ = false;
  for (;;) {
    switch (phase_) {
      case Phase::kBetween:
        if (!next_chunk()) return false;
        return true;
      case Phase::kBefore: {
        phase_ = Phase::kInside;
        read_in_chunk_ = 0;
        behind_exit_ = false;
        seq_ = store_.chunks()[number_].entry.first_seq;
        keep_repeatable();
        Result<void> opened = store_.open(number_, verify_, decoder_);
        if (opened) opened = decoder_.begin();
        if (!opened) {
          abandon_chunk(std::move(opened.error()));
          if (has_item_) return true;
        }
        break;
      }
      case Phase::kInside:
        if (next_in_chunk()) return true;
        break;
    }
  }
}

// Stands before the next selected chunk; an item only if exits are missing in front of it.
bool StreamCursor::next_chunk() {
  while (next_ < stream_.chunks.size()) {
    number_ = stream_.chunks[next_++];
    const ChunkRef& ref = store_.chunks()[number_];
    if (ref.duplicate) continue;
    if (chunk_selected(ref)) phase_ = Phase::kBefore;
    if (ref.missing_before != 0)
      emit_gap({ref.entry.first_seq - ref.missing_before, ref.missing_before, GapReason::kDamaged},
               ref.entry.first_tsc);
    if (phase_ == Phase::kBefore) move_to(ref.entry.first_tsc);
    if (phase_ == Phase::kBefore || has_item_) return true;
  }
  return false;
}

void StreamCursor::emit_gap(Gap gap, uint64_t tsc) {
  const int64_t ns = clock_.time_ns(std::max(tsc, ticks_));
  if (gap.lost == 0 || !seq_selected(gap.first_seq, gap.first_seq + gap.lost - 1) ||
      !time_selected(ns))
    return;
  move_to(tsc);
  item_ = Item{};
  item_.kind = Item::Kind::kGap;
  item_.vcpu_index = stream_.vcpu_index;
  item_.time_ns = ns;
  item_.seq = gap.first_seq;
  item_.gap = gap;
  has_item_ = true;
}

// The decoder forgets its exit with its chunk.
void StreamCursor::keep_repeatable() {
  if (repeatable_ == nullptr || repeatable_ == &kept_.exit()) return;
  kept_.assign(*repeatable_);
  repeatable_ = &kept_.exit();
}

// The rest of the chunk cannot be read.
void StreamCursor::abandon_chunk(Error why) {
  phase_ = Phase::kBetween;
  exit_answered_ = false;
  repeatable_ = nullptr;
  const ChunkRef& ref = store_.chunks()[number_];
  const uint64_t first = std::max(seq_, ref.skip_below);
  const uint64_t lost = ref.entry.end_seq > first ? ref.entry.end_seq - first : 0;
  const uint64_t tsc = ref.entry.first_tsc;
  store_.mark_damaged(number_, read_in_chunk_, std::move(why));
  emit_gap({first, lost, GapReason::kDamaged}, tsc);
}

bool StreamCursor::next_in_chunk() {
  for (;;) {
    switch (decoder_.next()) {
      case ChunkDecoder::Item::kExit:
        if (take_exit()) return true;
        break;
      case ChunkDecoder::Item::kSide:
        if (take_side()) return true;
        break;
      case ChunkDecoder::Item::kEnd:
        if (store_.chunks()[number_].skip_below != 0) store_.note_exits(number_, read_in_chunk_);
        phase_ = Phase::kBetween;
        return false;
      case ChunkDecoder::Item::kCorrupt:
        abandon_chunk(decoder_.error());
        return has_item_;
    }
  }
}

bool StreamCursor::take_exit() {
  const RecordedExit& exit = decoder_.exit();
  // A chunk does not know whether the exit before its first one was answered; we may.
  const bool entered = exit.previous_tsc != 0 && exit_answered_;
  const bool is_own = exit.seq >= store_.chunks()[number_].skip_below;
  seq_ = repeatable_end_ = exit.seq + 1;
  repeatable_ = &exit;
  read_in_chunk_ += is_own;
  exit_answered_ = exit.has_answer;
  exit_selected_ = false;
  behind_exit_ = true;
  if (!is_own || !seq_selected(exit.seq, exit.seq) ||
      (!selection_.reasons.empty() &&
       std::find(selection_.reasons.begin(), selection_.reasons.end(), exit.reason) ==
           selection_.reasons.end()))
    return false;
  const uint64_t ticks = std::max(exit.tsc, ticks_);
  const int64_t ns = clock_.time_ns(ticks);
  if (!time_selected(ns)) return false;
  ticks_ = ticks;
  item_.kind = Item::Kind::kExit;
  item_.exit = &exit;
  item_.stream = &decoder_.stream();
  item_.time_ns = ns;
  item_.guest_ns.reset();
  item_.monitor_ns.reset();
  if (entered) item_.guest_ns = clock_.duration_ns(exit.tsc - exit.previous_tsc);
  if (exit.has_answer) item_.monitor_ns = clock_.duration_ns(exit.answer_tsc - exit.tsc);
  item_.seq = exit.seq;
  item_.side = nullptr;
  return exit_selected_ = has_item_ = true;
}

bool StreamCursor::take_side() {
  const SideRecord& side = decoder_.side();
  behind_exit_ &= side.kind == RecordKind::kRegisters || side.kind == RecordKind::kMemorySlice;
  const bool of_exit = side.belongs_to_exit || behind_exit_;
  const ChunkRef& ref = store_.chunks()[number_];
  const uint64_t before = seq_;
  seq_ = side.next_seq;
  const uint64_t own = seq_ - std::min(seq_, std::max(before, ref.skip_below));
  const bool repeats_known = repeatable_ != nullptr && repeatable_end_ == before;
  if (side.kind == RecordKind::kRepeat) {
    read_in_chunk_ += own;
    if (repeats_known) repeatable_end_ = seq_;
  }
  if (side.kind == RecordKind::kGap || side.kind == RecordKind::kEntry)
    exit_answered_ = side.kind == RecordKind::kEntry;
  if (side.next_seq < ref.skip_below || (side.next_seq == ref.skip_below && before != seq_))
    return false;
  if (side.kind == RecordKind::kGap && side.payload.size() >= sizeof(GapRecord)) {
    const uint64_t first = std::max(number_at(side, 0), ref.skip_below);
    emit_gap({first, side.next_seq - first, static_cast<GapReason>(number_at(side, 3))}, side.tsc);
    return has_item_;
  }
  const uint64_t seq = side.next_seq == 0 ? 0 : side.next_seq - 1;
  const int64_t ns = clock_.time_ns(std::max(side.tsc, ticks_));
  if (of_exit ? !exit_selected_ : !time_selected(ns)) return false;
  if (stream_.vcpu_index == kSessionStream ? selection_.seq.has_value()
                                           : !seq_selected(std::min(before, seq), seq))
    return false;
  // What belongs to an exit follows it directly, whatever other vCPUs did meanwhile.
  if (!of_exit) move_to(side.tsc);
  item_ = Item{};
  item_.vcpu_index = stream_.vcpu_index;
  item_.stream = &decoder_.stream();
  item_.time_ns = ns;
  item_.seq = seq;
  item_.side = &side;
  item_.kind = side.kind == RecordKind::kRegisters ? Item::Kind::kRegisters : Item::Kind::kOther;
  if (side.kind == RecordKind::kRepeat && seq_ != before && read_payload(side, item_.repeat)) {
    item_.kind = Item::Kind::kRepeat;
    for (uint64_t* value :
         {&item_.repeat.of_seq, &item_.repeat.count, &item_.repeat.first_tsc,
          &item_.repeat.last_tsc, &item_.repeat.monitor_ticks_min, &item_.repeat.monitor_ticks_max})
      *value = load_le<uint64_t>(value);
    if (own != item_.repeat.count) item_.repeat.of_seq = side.next_seq - own - 1;
    item_.repeat.count = own;
    if (repeats_known) item_.exit = repeatable_;
    item_.seq = item_.repeat.of_seq;
  } else if (side.kind == RecordKind::kMemorySlice && read_payload(side, item_.slice)) {
    MemorySliceRecord& slice = item_.slice;
    for (uint64_t* value : {&slice.guest_physical, &slice.guest_virtual})
      *value = load_le<uint64_t>(value);
    for (uint32_t* value : {&slice.of, &slice.bytes}) *value = load_le<uint32_t>(value);
    const auto behind = side.payload.subspan(sizeof slice);
    item_.slice_bytes = behind.first(std::min<size_t>(slice.bytes, behind.size()));
    item_.kind = Item::Kind::kMemory;
  } else if (side.kind == RecordKind::kMark) {
    item_.kind = Item::Kind::kMark;
    const size_t bytes = std::min(static_cast<size_t>(std::max(side.ret, 0)), side.payload.size());
    item_.mark = {reinterpret_cast<const char*>(side.payload.data()), bytes};
  }
  return has_item_ = true;
}

}  // namespace kvmtape
