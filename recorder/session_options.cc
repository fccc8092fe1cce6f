#include "recorder/session_options.h"

#include <utility>

#include "recorder/drain/drain.h"
#include "recorder/flight/flight_recorder.h"

namespace kvmtape {

Result<CaptureFilter> filter_of(const kvmtape_options& options) {
  CaptureFilter filter;
  filter.reasons = options.exit_reasons;
  if (options.address_count > kFilterAddressesMax)
    return Error{ErrorCode::kUsage, "at most 16 address ranges can be told apart", {}, {}};
  for (size_t i = 0; options.addresses != nullptr && i < options.address_count; ++i)
    filter.addresses[filter.address_count++] = {options.addresses[i].first,
                                                options.addresses[i].last};
  return filter;
}

Result<std::unique_ptr<Keeper>> make_keeper(const kvmtape_options& options, TraceFile file,
                                            Session session, ClockReader clock) {
  std::unique_ptr<Keeper> keeper;
  if (options.flight_bytes == 0) {
    const FileBounds bounds{options.max_file_bytes,
                            uint64_t{options.max_file_seconds} * 1'000'000'000, options.max_files};
    keeper = std::make_unique<Drain>(std::move(file), std::move(session), bounds, clock);
    return keeper;
  }
  KVMTAPE_TRY_ASSIGN(const Triggers triggers,
                     parse_triggers(options.triggers == nullptr ? "" : options.triggers));
  keeper = std::make_unique<FlightRecorder>(std::move(file), std::move(session), triggers,
                                            options.max_files, clock);
  return keeper;
}

}  // namespace kvmtape
