#include "analysis/diff/diff_json.h"

#include <fmt/format.h>

#include "analysis/recording_json.h"

namespace kvmtape {
namespace {

using Json = nlohmann::ordered_json;

Json field_side_json(const FieldSide& side) {
  const bool valid = side.validity == Validity::kValid;
  Json json = {{"value", valid ? Json(side.text) : Json(nullptr)},
               {"validity", to_string(side.validity)}};
  if (!side.value_name.empty()) json["name"] = side.value_name;
  if (!valid && !side.why.empty()) json["why"] = side.why;
  return json;
}

Json ids_json(const std::vector<KernelDifferences::Difference>& explanations) {
  Json ids = Json::array();
  for (const auto& explanation : explanations) ids.push_back(explanation.change->id);
  return ids;
}

Json change_json(const ExitChange& change) {
  Json json = {{"vcpu", change.vcpu}};
  if (!change.guest.empty()) json["guest"] = change.guest;
  json["seq_a"] = change.kind == ChangeKind::kExtra ? Json(nullptr) : Json(change.a.seq);
  json["seq_b"] = change.kind == ChangeKind::kMissing ? Json(nullptr) : Json(change.b.seq);
  json["kind"] = to_string(change.kind);
  json["name"] = change.a.name.empty() ? change.b.name : change.a.name;
  json["text_a"] = change.a.name.empty() ? Json(nullptr) : Json(change.a.text);
  json["text_b"] = change.b.name.empty() ? Json(nullptr) : Json(change.b.text);
  json["fields"] = Json::object();
  for (const FieldChange& field : change.fields) {
    Json both = {{"a", field_side_json(field.a)}, {"b", field_side_json(field.b)}};
    if (!field.explained_by.empty()) both["explained_by"] = ids_json(field.explained_by);
    json["fields"][field.name] = std::move(both);
  }
  if (change.explained()) json["explained_by"] = ids_json(change.explained_by);
  return json;
}

Json context_json(const std::vector<ExitSide>& lines) {
  Json json = Json::array();
  for (const ExitSide& line : lines)
    json.push_back({{"seq", line.seq}, {"name", line.name}, {"text", line.text}});
  return json;
}

Json divergence_json(const std::optional<Divergence>& divergence) {
  if (!divergence) return nullptr;
  Json json = change_json(divergence->change);
  json["context_a"] = context_json(divergence->context_a);
  json["context_b"] = context_json(divergence->context_b);
  return json;
}

Json recording_json(const TraceReader& reader, const Symbols* symbols) {
  Json json = {{"path", reader.path()},
               {"complete", reader.health().complete()},
               {"session", session_json(reader.session())},
               {"totals", totals_json(reader)}};
  if (symbols != nullptr)
    json["symbols"] = {{"path", symbols->path()},
                       {"count", symbols->count()},
                       {"kaslr", fmt::format("{:#x}", symbols->offset())}};
  return json;
}

Json diff_totals_json(const DiffTotals& totals) {
  return {{"compared_a", totals.compared_a},
          {"compared_b", totals.compared_b},
          {"left_out_a", totals.left_out_a},
          {"left_out_b", totals.left_out_b},
          {"same", totals.same},
          {"changed", totals.changed},
          {"missing", totals.missing},
          {"extra", totals.extra},
          {"explained", totals.explained},
          {"unexplained", totals.unexplained()},
          {"ignored", totals.ignored},
          {"lost_in_a", totals.lost_in_a},
          {"lost_in_b", totals.lost_in_b},
          {"unaligned", totals.unaligned}};
}

Json losses_json(const std::vector<DiffLoss>& losses) {
  Json json = Json::array();
  for (const auto& [vcpu, in_b, loss] : losses)
    json.push_back({{"vcpu", vcpu},
                    {"in", in_b ? "b" : "a"},
                    {"first_seq", loss.is_open_end() ? Json(nullptr) : Json(loss.first_seq)},
                    {"lost", loss.is_open_end() ? Json(nullptr) : Json(loss.lost)},
                    {"why", loss.why},
                    {"other_has", loss.accounted},
                    {"other_first_seq", loss.other_first},
                    {"other_last_seq", loss.other_last}});
  return json;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json kernel_changes_json(const std::vector<KernelDifferences::Difference>& differences) {
  Json json = Json::object();
  for (const auto& difference : differences) {
    const KernelChange& change = *difference.change;
    json[std::string(change.id)] = {{"what", change.what},
                                    {"commit", text_or_null(std::string(change.commit))},
                                    {"source", change.source},
                                    {"doubt", text_or_null(std::string(change.doubt))},
                                    {"certain", difference.certain()}};
  }
  return json;
}

Json quantiles_json(const Histogram& times) {
  return {{"mean", times.mean()},
          {"p50", times.quantile(0.5)},
          {"p99", times.quantile(0.99)},
          {"max", times.max()}};
}

Json times_json(const Histogram& a, const Histogram& b, const TimeComparison& comparison) {
  if (!comparison.known) return nullptr;
  return {{"a", quantiles_json(a)},
          {"b", quantiles_json(b)},
          {"effect", comparison.effect},
          {"chance", comparison.chance},
          {"differs", comparison.differs}};
}

}  // namespace

Json diff_json(const TraceReader& a, const TraceReader& b, const Diff& diff,
               const std::vector<SessionChange>& session,
               const std::vector<Distribution>& distributions, const DiffOptions& options,
               bool equal) {
  Json json = {{"kvmtape_json", 1}};
  json["a"] = recording_json(a, options.symbols_a);
  json["b"] = recording_json(b, options.symbols_b);
  json["equal"] = equal;
  json["complete"] = a.health().complete() && b.health().complete();
  json["totals"] = diff_totals_json(diff.totals);
  json["first_divergence"] = divergence_json(diff.first);
  json["first_unexplained"] = divergence_json(diff.first_unexplained);
  json["changes"] = Json::array();
  for (const ExitChange& change : diff.changes) json["changes"].push_back(change_json(change));
  json["changes_left_out"] = diff.listed - diff.changes.size();
  json["lost"] = losses_json(diff.losses);
  json["kernel_changes"] = kernel_changes_json(diff.kernel_differences);
  json["seen_by_guest"] = ids_json(diff.seen_by_guest);
  json["distributions"] = Json::array();
  for (const Distribution& distribution : distributions)
    json["distributions"].push_back(
        {{"exit", distribution.exit},
         {"count_a", distribution.a.count},
         {"count_b", distribution.b.count},
         {"guest_ns",
          times_json(distribution.a.guest_ns, distribution.b.guest_ns, distribution.guest)},
         {"monitor_ns",
          times_json(distribution.a.monitor_ns, distribution.b.monitor_ns, distribution.monitor)}});
  json["session"] = Json::array();
  for (const SessionChange& change : session)
    json["session"].push_back(
        {{"name", change.name}, {"a", text_or_null(change.a)}, {"b", text_or_null(change.b)}});
  return json;
}

}  // namespace kvmtape
