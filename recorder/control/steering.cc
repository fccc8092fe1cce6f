#include "recorder/control/steering.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "recorder/control/control_server.h"
#include "recorder/drain/clock_reading.h"
#include "recorder/drain/write_news.h"

namespace kvmtape {
namespace {

std::string line_of(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// Blocks between reader and writer. A ring that nobody consumes is full once it was filled.
double fill_of(const RingHeader& ring) {
  const uint64_t open = ring.open_block.load(std::memory_order_relaxed);  // relaxed: statistics
  const uint64_t read = ring.read_block.load(std::memory_order_relaxed);  // relaxed: statistics
  return std::min(1.0, static_cast<double>(open - read) / static_cast<double>(ring.block_count));
}

std::string done(const Result<void>& result) {
  return result.ok() ? line_of({{"done", true}}) : error_reply(result.error().to_string());
}

}  // namespace

Steering::Steering(Keeper& keeper, Mark mark)
    : keeper_(keeper), mark_(std::move(mark)), window_(monotonic_now_ns(), totals()) {}

// Of a flight recorder, what has gone by.
DrainTotals Steering::totals() const {
  DrainTotals totals = keeper_.totals();
  if (const auto flight = keeper_.flight_totals()) {
    totals.exits = flight->exits;
    totals.lost = flight->lost;
  }
  return totals;
}

void Steering::look() {
  if (const uint64_t now = monotonic_now_ns(); window_.is_due(now)) window_.advance(now, totals());
}

std::string Steering::answer(const Request& request, std::span<RingHeader* const> rings) {
  switch (request.kind) {
    case Request::Kind::kStatus:
      return status(rings);
    case Request::Kind::kStart:
      return set_paused(false);
    case Request::Kind::kStop:
      return set_paused(true);
    case Request::Kind::kSnapshot:
      return snapshot(request.text.empty() ? "ctl snapshot" : request.text);
    case Request::Kind::kMark:
      return mark_(request.text) ? line_of({{"done", true}})
                                 : error_reply("there is no room for it now");
  }
  return error_reply("no such request");
}

std::string Steering::set_paused(bool paused) {
  const auto result = keeper_.set_paused(paused);
  if (result.ok()) window_.begin_anew(monotonic_now_ns(), totals());
  return done(result);
}

std::string Steering::snapshot(const std::string& reason) {
  if (const auto written = keeper_.snapshot(reason); !written.ok())
    return error_reply(written.error().to_string() + "; the recording goes on: free space there");
  return line_of({{"done", true}, {"path", keeper_.path()}});
}

std::string Steering::status(std::span<RingHeader* const> rings) {
  const DrainTotals totals = this->totals();
  const Rates rates = window_.rates(monotonic_now_ns(), totals);
  nlohmann::ordered_json json = {{"kvmtape_ctl", 1},
                                 {"trace", keeper_.path()},
                                 {"state", keeper_.paused() ? "stopped" : "recording"},
                                 {"snapshots", nullptr},
                                 {"exits", totals.exits},
                                 {"lost", totals.lost},
                                 {"bytes", totals.bytes},
                                 {"write_errors", totals.write_errors},
                                 {"exits_per_second", rates.exits_per_second},
                                 {"bytes_per_second", rates.bytes_per_second},
                                 {"rate_seconds", rates.seconds},
                                 {"write_error", nullptr},
                                 {"rings", nlohmann::json::array()}};
  // null: what is recorded goes into the file
  if (const auto flight = keeper_.flight_totals()) json["snapshots"] = flight->snapshots;
  if (const auto& error = keeper_.last_error(); error && keeper_.write_fails())
    json["write_error"] = cause_of(*error);
  for (const RingHeader* ring : rings)
    if (ring->vcpu_index != kSessionStream)
      json["rings"].push_back({{"vcpu", ring->vcpu_index},
                               {"bytes", uint64_t{ring->block_bytes} * ring->block_count},
                               {"fill", fill_of(*ring)}});
  return line_of(json);
}

}  // namespace kvmtape
