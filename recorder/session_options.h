// What kvmtape_options mean for the parts of a session. Pure but for the keeper that is made; any
// thread.
#pragma once

#include <memory>

#include "recorder/drain/clock_reading.h"
#include "recorder/drain/keeper.h"
#include "recorder/kvmtape.h"
#include "recorder/ring/capture_filter.h"
#include "schema/trace_file.h"

namespace kvmtape {

// kUsage: more ranges than can be told apart.
Result<CaptureFilter> filter_of(const kvmtape_options& options);

// A flight recorder or a drain, on `file`. kUsage: a trigger that is none.
Result<std::unique_ptr<Keeper>> make_keeper(const kvmtape_options& options, TraceFile file,
                                            Session session, ClockReader clock);

}  // namespace kvmtape
