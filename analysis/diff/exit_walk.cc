#include "analysis/diff/exit_walk.h"

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
    if (item_.kind != Item::Kind::kExit) continue;
    seq_ = item_.exit->seq;
    if (!normaliser_.leaves_out(*item_.exit)) return true;
    ++left_out_;
  }
  ++seq_;
  return false;
}

const DecodedExit& ExitWalk::decoded() {
  if (!is_decoded_) decode_both(decoder_, *item_.exit, decoded_);
  is_decoded_ = true;
  return decoded_;
}

}  // namespace kvmtape
