#include "analysis/diff/exit_walk.h"

#include <algorithm>
#include <utility>

namespace kvmtape {

ExitWalk::ExitWalk(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
                   const Selection& selection, uint32_t vcpu_index)
    : reader_(reader),
      decoder_(decoder),
      normaliser_(normaliser),
      selection_(selection),
      slots_(reader.session().byte_order) {
  Selection one;
  one.vcpus = {vcpu_index};
  reader_.rewind(one);
}

bool ExitWalk::selects_kind(const RecordedExit& exit) const {
  const std::vector<uint32_t>& reasons = selection_.reasons;
  if (reasons.empty()) return true;
  if (std::ranges::find(reasons, exit.reason) == reasons.end()) return false;
  if (exit.ret >= 0) return true;
  DecodedExit failed;
  decode_both(decoder_, exit, failed);
  return failed.exit.reason_validity == Validity::kValid;
}

bool ExitWalk::selects_moment() const {
  const auto& [vcpus, reasons, seq, time_ns] = selection_;
  return (!seq || (item_.seq >= seq->first && item_.seq <= seq->second)) &&
         (!time_ns || (item_.time_ns >= time_ns->first && item_.time_ns <= time_ns->second));
}

bool ExitWalk::selects_what_follows() const {
  return (!selection_.seq || last_seq_ < selection_.seq->second) &&
         (!selection_.time_ns || last_ns_ < selection_.time_ns->second);
}

bool ExitWalk::next() {
  is_decoded_ = false;
  if (repeats_left_ != 0 && next_repeat()) [[unlikely]]
    return true;
  while (reader_.next(item_)) {
    note(item_);
    if (item_.kind == Item::Kind::kRepeat) [[unlikely]] {
      begin_repeats();
      if (next_repeat()) return true;
    }
    if (item_.kind != Item::Kind::kExit || !passes()) continue;
    if (reader_.taken_follows()) [[unlikely]]
      take_registers();
    return true;
  }
  ++seq_;
  return false;
}

bool ExitWalk::passes() {
  last_seq_ = item_.seq;
  last_ns_ = item_.time_ns;
  if (!selects_moment() || (!is_repeat() && !selects_kind(*item_.exit))) {
    // What was lost in front of an exit before the selection was lost before it.
    if (passed_ == 0 && selection_.time_ns && last_ns_ < selection_.time_ns->first) lost_.clear();
    return false;
  }
  seq_ = item_.seq;
  if (normaliser_.leaves_out(*item_.exit)) {
    ++left_out_;
    return false;
  }
  taken_.clear();
  ++passed_;
  return true;
}

void ExitWalk::begin_repeats() {
  repeats_ = repeated_exits(item_, reader_);
  if (item_.exit == nullptr) {
    const Gap gone{repeats_.first_seq, item_.repeat.count, GapReason::kDamaged};
    return note_gap(gone, item_.time_ns);
  }
  if (item_.repeat.count > repeats_room_ || !selects_kind(*item_.exit)) {
    last_seq_ = repeats_.last_seq;
    last_ns_ = repeats_.last_ns;
    return;
  }
  repeats_room_ -= item_.repeat.count;
  repeats_left_ = item_.repeat.count;
}

bool ExitWalk::next_repeat() {
  while (repeats_left_ != 0) {
    const uint64_t behind = --repeats_left_;
    item_.seq = repeats_.last_seq - behind;
    const auto steps = static_cast<double>(std::max<uint64_t>(item_.repeat.count, 2) - 1);
    const auto span = static_cast<double>(repeats_.last_ns - repeats_.first_ns);
    item_.time_ns =
        repeats_.last_ns - static_cast<int64_t>(span * static_cast<double>(behind) / steps);
    if (passes()) return true;
  }
  return false;
}

void ExitWalk::take_registers() {
  for (Item side; reader_.taken_follows() && reader_.next(side);) note(side);
}

void ExitWalk::note(const Item& item) {
  switch (item.kind) {
    case Item::Kind::kMark:
      guest_ = guest_of_mark(item.mark);
      break;
    case Item::Kind::kRegisters:
      if (const auto record = registers_view(*item.side); record && item.seq == seq_)
        taken_[record->set].join(*record, item.stream->byte_order);
      break;
    case Item::Kind::kOther:
      if (const auto call = control_call_of(*item.side, decoder_.context().redaction))
        slots_.note(*call);
      knew_slots_ |= slots_.count() != 0;
      break;
    case Item::Kind::kGap:
      note_gap(item.gap, item.time_ns);
      break;
    case Item::Kind::kExit:
    case Item::Kind::kRepeat:
    case Item::Kind::kMemory:
      break;
  }
}

// Chunks that are damaged one behind the other are one loss. Of a gap counts what is selected: when
// it ended is not known before the next exit.
void ExitWalk::note_gap(Gap gap, int64_t time_ns) {
  if (selection_.time_ns && time_ns > selection_.time_ns->second) return;
  if (const auto& seq = selection_.seq; seq && gap.lost != 0) {
    const uint64_t last = std::min(gap.first_seq + (gap.lost - 1), seq->second);
    gap.first_seq = std::max(gap.first_seq, seq->first);
    if (last < gap.first_seq) return;
    gap.lost = last - gap.first_seq + 1;
  }
  const std::string_view why = to_string(gap.why);
  if (!lost_.empty() && lost_.back().at == passed_ && lost_.back().why == why)
    lost_.back().lost += std::min(gap.lost, LostExits::kUnknown - 1 - lost_.back().lost);
  else
    lost_.push_back(
        {passed_, gap.first_seq, std::min(gap.lost, LostExits::kUnknown - 1), why, 0, 0, 0});
}

LostList ExitWalk::take_lost() {
  if (const auto why = why_open_end(reader_.health()); why && selects_what_follows())
    lost_.push_back({passed_, 0, LostExits::kUnknown, *why, 0, 0, 0});
  return std::move(lost_);
}

const DecodedExit& ExitWalk::decoded() {
  if (!is_decoded_) decode_both(decoder_, *item_.exit, decoded_);
  is_decoded_ = true;
  return decoded_;
}

}  // namespace kvmtape
