#include "analysis/diff/exit_walk.h"

#include <algorithm>
#include <limits>
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
  if (item.kind != Item::Kind::kExit || reasons.empty()) return true;
  if (std::ranges::find(reasons, item.exit->reason) == reasons.end()) return false;
  if (item.exit->ret >= 0) return true;
  DecodedExit failed;
  decode_both(decoder_, *item.exit, failed);
  return failed.exit.reason_validity == Validity::kValid;
}

bool ExitWalk::selects_end() const {
  return (!selection_.seq || selection_.seq->second == std::numeric_limits<uint64_t>::max()) &&
         (!selection_.time_ns || selection_.time_ns->second == std::numeric_limits<int64_t>::max());
}

bool ExitWalk::next() {
  is_decoded_ = false;
  while (reader_.next(item_)) {
    note(item_);
    if (item_.kind != Item::Kind::kExit || !selects(item_)) continue;
    seq_ = item_.exit->seq;
    if (!normaliser_.leaves_out(*item_.exit)) {
      taken_.clear();
      for (Item side; reader_.taken_follows() && reader_.next(side);) note(side);
      ++passed_;
      return true;
    }
    ++left_out_;
  }
  ++seq_;
  return false;
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
      if (const auto call = control_call_of(*item.side)) {
        slots_.note(*call);
        ++calls_;
      }
      break;
    case Item::Kind::kGap:
      if (selects(item)) note_gap(item.gap);
      break;
    case Item::Kind::kExit:
    case Item::Kind::kRepeat:
    case Item::Kind::kMemory:
      break;
  }
}

// Chunks that are damaged one behind the other are one loss.
void ExitWalk::note_gap(const Gap& gap) {
  const std::string_view why = to_string(gap.why);
  if (!lost_.empty() && lost_.back().at == passed_ && lost_.back().why == why)
    lost_.back().lost += std::min(gap.lost, LostExits::kUnknown - 1 - lost_.back().lost);
  else
    lost_.push_back(
        {passed_, gap.first_seq, std::min(gap.lost, LostExits::kUnknown - 1), why, 0, 0, 0});
}

LostList ExitWalk::take_lost() {
  if (const auto why = why_open_end(reader_.health()); why && selects_end())
    lost_.push_back({passed_, 0, LostExits::kUnknown, *why, 0, 0, 0});
  return std::move(lost_);
}

const DecodedExit& ExitWalk::decoded() {
  if (!is_decoded_) decode_both(decoder_, *item_.exit, decoded_);
  is_decoded_ = true;
  return decoded_;
}

}  // namespace kvmtape
