#include "analysis/monitor_end.h"

#include "schema/mark_text.h"
#include "schema/ring_layout.h"

namespace kvmtape {

std::string monitor_killed_by(TraceReader& reader) {
  std::string signal;
  Item item;
  for (reader.rewind({.vcpus = {kSessionStream}}); reader.next(item);)
    if (item.kind == Item::Kind::kMark && item.mark.starts_with(kMonitorKilledMark))
      signal = item.mark.substr(kMonitorKilledMark.size());
  return signal;
}

}  // namespace kvmtape
