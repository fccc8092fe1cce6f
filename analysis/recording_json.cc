#include "analysis/recording_json.h"

#include <fmt/format.h>

#include "analysis/session_context.h"
#include "schema/base/uuid_text.h"

namespace kvmtape {
namespace {

using Json = nlohmann::ordered_json;

// Not known: null.
Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json times_json(const Histogram& times) {
  if (times.count() == 0)
    return {{"min", nullptr},  {"mean", nullptr}, {"p50", nullptr}, {"p99", nullptr},
            {"p999", nullptr}, {"max", nullptr},  {"total", 0}};
  return {
      {"min", times.min()},          {"mean", times.mean()},          {"p50", times.quantile(0.5)},
      {"p99", times.quantile(0.99)}, {"p999", times.quantile(0.999)}, {"max", times.max()},
      {"total", times.total()}};
}

// Null where nothing came after what is here.
Json copied_end_json(OpenEnd end) {
  if (end == OpenEnd::kNone) return nullptr;
  return end == OpenEnd::kTorn ? "torn" : "unsealed";
}

}  // namespace

Json session_json(const Session& session) {
  Json vcpus = Json::array();
  for (const SessionVcpu& vcpu : session.vcpus)
    vcpus.push_back({{"index", vcpu.index}, {"id", vcpu.id}, {"run_bytes", vcpu.run_bytes}});
  Json capabilities = Json::object();
  for (const auto& [number, value] : decode_context_of(session).capabilities)
    capabilities[std::to_string(number)] = value;
  Json cpu = Json::object();
  for (const auto& [name, value] : session.cpu_facts) cpu[name] = value;
  return {
      {"uuid", to_string(session.uuid)},
      {"arch", architecture_name(session.architecture)},
      {"byte_order", session.byte_order == ByteOrder::kLittle ? "little" : "big"},
      {"kernel", text_or_null(session.kernel_release)},
      {"kernel_version", text_or_null(session.kernel_version)},
      {"distribution", text_or_null(session.distribution)},
      {"page_bytes", session.page_bytes == 0 ? Json(nullptr) : Json(session.page_bytes)},
      {"vcpus", vcpus},
      {"capabilities", capabilities},
      {"cpu", cpu},
      {"clock",
       {{"name", session.clock_name},
        {"ticks_per_second", session.ticks_per_second},
        {"start_realtime_ns",
         session.start.realtime_ns == 0 ? Json(nullptr) : Json(session.start.realtime_ns)}}},
      {"monitor",
       {{"name", text_or_null(session.monitor_name)},
        {"pid", session.monitor_pid == 0 ? Json(nullptr) : Json(session.monitor_pid)}}},
      {"host", text_or_null(session.host_name)},
      {"recorder", session.recorder},
      {"registers", text_or_null(session.register_policy)},
      {"ring_full", text_or_null(session.ring_full)},
      {"left_out", session.left_out},
      {"history", session.history},
      {"redaction", text_or_null(session.redaction)},
      {"trigger", text_or_null(session.trigger)},
      {"abi_variant", text_or_null(session.abi_variant)},
  };
}

Json totals_json(const TraceReader& reader) {
  Json vcpus = Json::array();
  for (const VcpuTotals& vcpu : reader.vcpus())
    vcpus.push_back(
        {{"vcpu", vcpu.index}, {"id", vcpu.id}, {"exits", vcpu.exits}, {"lost", vcpu.lost}});
  return {{"exits", reader.exits()},
          {"lost", reader.lost()},
          {"begin_ns", reader.begin_ns()},
          {"duration_ns", reader.duration_ns()},
          {"recorded_ns", reader.recorded_ns()},
          {"vcpus", vcpus}};
}

Json gaps_json(const GapList& list) {
  Json gaps = Json::array();
  for (const auto& [vcpu, gap] : list.gaps)
    gaps.push_back({{"vcpu", vcpu},
                    {"lost", gap.lost},
                    {"first_seq", gap.first_seq},
                    {"last_seq", gap.first_seq + gap.lost - (gap.lost == 0 ? 0 : 1)},
                    {"why", to_string(gap.why)}});
  return gaps;
}

std::vector<std::string> problem_texts(const TraceHealth& health) {
  std::vector<std::string> texts;
  for (const Error& problem : health.problems) texts.push_back(problem.to_string());
  if (health.torn_at) texts.push_back(fmt::format("torn (at byte {})", *health.torn_at));
  if (health.footer_damaged) texts.emplace_back("the index at its end is damaged");
  return texts;
}

Json storage_json(const TraceReader& reader) {
  const TraceHealth& health = reader.health();
  return {{"path", reader.path()},
          {"bytes", reader.file_bytes()},
          {"chunks", reader.chunk_count()},
          {"sealed", health.sealed},
          {"complete", health.complete()},
          {"recording", health.writer_alive},
          {"torn_at", health.torn_at ? Json(*health.torn_at) : Json(nullptr)},
          {"copied_end", copied_end_json(health.copied_end)},
          {"damaged_chunks", health.damaged_chunks},
          {"redundant_chunks", health.redundant_chunks},
          {"damaged_bytes", health.damaged_bytes},
          {"file_exits", health.file_exits},
          {"ring_exits", health.ring_exits},
          {"problems", problem_texts(health)}};
}

Json rows_json(const Stat& stat) {
  Json rows = Json::array();
  for (const StatRow& row : stat.rows) {
    Json json = Json::object();
    if (row.vcpu) json["vcpu"] = *row.vcpu;
    json["exit"] = row.exit;
    if (!row.key.empty()) json["key"] = row.key;
    json["count"] = row.count;
    json["share"] =
        stat.exits == 0 ? 0.0 : static_cast<double>(row.count) / static_cast<double>(stat.exits);
    json["guest_ns"] = times_json(row.guest_ns);
    json["monitor_ns"] = times_json(row.monitor_ns);
    rows.push_back(std::move(json));
  }
  return rows;
}

std::string to_line(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvmtape
