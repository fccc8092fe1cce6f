#include "recorder/control/rate_window.h"

#include <algorithm>

namespace kvmtape {

Rates RateWindow::rates(uint64_t now_ns, const DrainTotals& totals) const {
  const double seconds = std::max(1e-9, static_cast<double>(now_ns - older_.taken_ns) * 1e-9);
  auto rate = [&](uint64_t before, uint64_t after) {
    return after < before ? 0.0 : static_cast<double>(after - before) / seconds;
  };
  return {rate(older_.exits, totals.exits), rate(older_.bytes, totals.bytes), seconds};
}

}  // namespace kvmtape
