#include "analysis/gaps.h"

namespace kvmtape {

GapList find_gaps(TraceReader& reader) {
  GapList list;
  if (reader.lost() == 0 && reader.health().damaged_chunks == 0) return list;
  Item item;
  for (reader.rewind(); reader.next(item);) {
    if (item.kind != Item::Kind::kGap) continue;
    if (list.gaps.size() < GapList::kMax)
      list.gaps.push_back({item.vcpu_index, item.gap});
    else
      ++list.left_out;
  }
  return list;
}

}  // namespace kvmtape
