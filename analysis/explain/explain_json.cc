#include "analysis/explain/explain_json.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "analysis/exit_json.h"
#include "analysis/explain/history.h"
#include "analysis/explain/named_addresses.h"
#include "analysis/recording_json.h"

namespace kvmtape {
namespace {

using Json = nlohmann::ordered_json;

RegisterSets sets_of(const RegisterBytes& registers) {
  RegisterSets sets;
  for (const auto& [set, part] : registers.parts) sets[set] = part.contents;
  return sets;
}

Json values_json(const Registers& registers) {
  if (registers.empty()) return nullptr;
  Json values = Json::object();
  for (const auto& [name, value] : registers.all()) values[name] = fmt::format("{:#x}", value);
  return {{"origin", registers.origin_text()}, {"values", values}};
}

// As a line of `dump --json`, and what else is known of it.
Json crash_json(const Case& all) {
  const CrashExit& crash = *all.crash;
  const RecordedExit recorded = crash.exit.recorded_exit();
  Item item;
  item.vcpu_index = crash.exit.place.vcpu;
  item.exit = &recorded;
  item.time_ns = crash.exit.time_ns;
  item.guest_ns = crash.exit.guest_ns;
  item.monitor_ns = crash.exit.monitor_ns;
  JsonWriter json;
  begin_exit(json, item, all.decoder, all.decoded_crash, false,
             all.reader.session().clock_name != kNoClock);
  write_registers(json, all.context, sets_of(crash.with));
  if (!crash.memory.empty()) {
    json.key("memory");
    json.begin_list();
    for (const MemorySlice& slice : crash.memory) write_memory_slice(json, all.context, slice);
    json.end_list();
  }
  json.end_object();
  Json document = Json::parse(json.text());
  document["guest_registers"] = values_json(all.at_crash);
  if (all.at_crash.empty()) document["guest_registers_why"] = all.no_registers;
  document["registers_before"] = values_json(all.before_crash);
  document["again"] = crash.again;
  document["exits_behind"] = crash.exits_behind;
  Json others = Json::array();
  for (const Place& place : all.other_crashes) others.push_back(to_string(place));
  document["other_crashes"] = others;
  return document;
}

Json symbols_json(const Case& all, const Symbols& symbols) {
  Json names = Json::array();
  for (const NamedAddress& named : named_addresses(all, symbols)) {
    Json name = {
        {"of", named.what}, {"address", fmt::format("{:#x}", named.address)}, {"name", named.name}};
    if (!named.source.empty()) name["source"] = named.source;
    names.push_back(std::move(name));
  }
  return {{"kaslr", fmt::format("{:#x}", symbols.offset())}, {"names", names}};
}

Json findings_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    Json evidence = Json::array();
    for (const Place& place : finding.evidence) evidence.push_back(to_string(place));
    Json json = {
        {"rule", finding.rule}, {"title", finding.title},     {"confidence", finding.confidence},
        {"evidence", evidence}, {"details", finding.details}, {"next", finding.next}};
    if (!finding.change.empty()) json["change"] = finding.change;
    if (!finding.kernel_change.empty()) json["kernel_change"] = finding.kernel_change;
    list.push_back(std::move(json));
  }
  return list;
}

Json line_json(const Case& all, const HistoryLine& line) {
  Json json;
  if (line.exit == nullptr) {
    json["time_ns"] = line.time_ns;
    json[name_text(all, line)] = body_text(all, line);
    if (line.injection != nullptr && line.injection->after)
      json["after"] = to_string(*line.injection->after);
    return json;
  }
  const KeptExit& exit = *line.exit;
  const DecodedExit decoded = exit.decoded(all.decoder);
  json = {{"vcpu", exit.place.vcpu}, {"seq", exit.place.seq}, {"time_ns", exit.time_ns}};
  if (exit.lost_before != 0) json["lost_before"] = exit.lost_before;
  json["name"] = name_of(decoded);
  json["text"] = text_of(all.decoder, decoded);
  if (exit.more != 0) {
    json["count"] = exit.more + 1;
    json["last_seq"] = exit.last_seq;
    json["last_time_ns"] = exit.last_time_ns;
    json["alternating"] = exit.alternating;
    json["alike"] = exit.are_alike;
    if (!exit.are_alike)
      json["last_text"] =
          text_of(all.decoder, decode_owned(all.decoder, *exit.bytes_of(exit.last_seq)));
  }
  return json;
}

}  // namespace

Json explanation_json(const Explanation& explanation, std::span<const ProbeGuest> guests,
                      size_t history_lines, const Symbols* symbols) {
  const Case& all = *explanation.all;
  Json document = {{"kvmtape_json", 1}};
  document["complete"] = all.reader.health().complete();
  document["session"] = session_json(all.reader.session());
  document["totals"] = totals_json(all.reader);
  document["crash"] = all.crash == nullptr ? Json(nullptr) : crash_json(all);
  if (symbols != nullptr) document["symbols"] = symbols_json(all, *symbols);
  document["causes"] = findings_json(explanation.causes);
  document["notes"] = findings_json(explanation.notes);
  for (const ProbeGuest& guest : guests)
    document["guests"].push_back(
        {{"name", guest.name}, {"vcpus", guest.vcpus}, {"causes", findings_json(guest.causes)}});
  Json history = Json::array();
  for (const HistoryLine& line : history_of(all, history_lines))
    history.push_back(line_json(all, line));
  document["history"] = history;
  Json consoles = Json::array();
  for (const ConsoleText::Console& console : all.console.all())
    consoles.push_back({{"where", console.where}, {"tail", console.tail}});
  document["consoles"] = consoles;
  return document;
}

}  // namespace kvmtape
