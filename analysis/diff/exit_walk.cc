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

bool ExitWalk::selects(const Item& item) const {
  const auto& [vcpus, reasons, seq, time_ns] = selection_;
  if (seq && (item.seq < seq->first || item.seq > seq->second)) return false;
  if (time_ns && (item.time_ns < time_ns->first || item.time_ns > time_ns->second)) return false;
  if (reasons.empty()) return true;
  if (std::ranges::find(reasons, item.exit->reason) == reasons.end()) return false;
  if (item.exit->ret >= 0) return true;
  DecodedExit failed;
  decode_both(decoder_, *item.exit, failed);
  return failed.exit.reason_validity == Validity::kValid;
}

bool ExitWalk::selects_what_follows() const {
  return (!selection_.seq || last_seq_ < selection_.seq->second) &&
         (!selection_.time_ns || last_ns_ < selection_.time_ns->second);
}

bool ExitWalk::next() {
  is_decoded_ = false;
  while (reader_.next(item_)) {
    note(item_);
    if (item_.kind != Item::Kind::kExit) continue;
    last_seq_ = item_.seq;
    last_ns_ = item_.time_ns;
    if (!selects(item_)) {
      // What was lost in front of an exit before the selection was lost before it.
      if (passed_ == 0 && selection_.time_ns && last_ns_ < selection_.time_ns->first) lost_.clear();
      continue;
    }
    seq_ = item_.exit->seq;
    if (!normaliser_.leaves_out(*item_.exit)) {
      taken_.clear();
      if (reader_.taken_follows()) [[unlikely]]
        take_registers();
      ++passed_;
      return true;
    }
    ++left_out_;
  }
  ++seq_;
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
      if (const auto call = control_call_of(*item.side)) slots_.note(*call);
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
