#include "analysis/diff/exit_walk.h"

#include <algorithm>
#include <utility>

namespace kvmtape {

ExitWalk::ExitWalk(TraceReader& reader, const ExitDecoder& decoder, const Normaliser& normaliser,
                   uint32_t vcpu_index)
    : reader_(reader),
      decoder_(decoder),
      normaliser_(normaliser),
      slots_(reader.session().byte_order) {
  Selection selection;
  selection.vcpus = {vcpu_index};
  reader_.rewind(selection);
}

bool ExitWalk::next() {
  is_decoded_ = false;
  while (reader_.next(item_)) {
    if (item_.kind == Item::Kind::kMark) guest_ = guest_of_mark(item_.mark);
    if (item_.kind == Item::Kind::kOther)
      if (const auto call = control_call_of(*item_.side)) {
        slots_.note(*call);
        ++calls_;
      }
    if (item_.kind == Item::Kind::kGap) note_gap(item_.gap);
    if (item_.kind != Item::Kind::kExit) continue;
    seq_ = item_.exit->seq;
    if (!normaliser_.leaves_out(*item_.exit)) {
      ++passed_;
      return true;
    }
    ++left_out_;
  }
  ++seq_;
  return false;
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
  if (const auto why = why_open_end(reader_.health()))
    lost_.push_back({passed_, 0, LostExits::kUnknown, *why, 0, 0, 0});
  return std::move(lost_);
}

const DecodedExit& ExitWalk::decoded() {
  if (!is_decoded_) decode_both(decoder_, *item_.exit, decoded_);
  is_decoded_ = true;
  return decoded_;
}

}  // namespace kvmtape
