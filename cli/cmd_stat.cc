// `kvmtape stat`: how often each exit came and what it cost, by port, MMIO address, MSR, hypercall.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "analysis/stat.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/option_values.h"
#include "cli/recorders_of.h"
#include "cli/selected_items.h"
#include "cli/selection.h"
#include "cli/stat_live.h"
#include "cli/stat_table.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

struct StatCommand {
  TraceOptions trace;
  SelectOptions select;
  std::vector<std::string> by;
  std::string sort = "count";
  std::string interval;
  bool no_keys = false;
  bool live = false;
  StatTableOptions table;
};

constexpr std::string_view kByVcpu = "vcpu";
constexpr std::array<std::pair<std::string_view, StatKeys>, 7> kKeysByName{{
    {"key", StatKeys::kAll},
    {"exit", StatKeys::kNone},
    {"port", StatKeys::kPort},
    {"address", StatKeys::kAddress},
    {"msr", StatKeys::kMsr},
    {"hypercall", StatKeys::kHypercall},
    {"ec", StatKeys::kEc},
}};
constexpr std::array<std::pair<std::string_view, StatSort>, 6> kSortByName{{
    {"count", StatSort::kCount},
    {"guest", StatSort::kGuest},
    {"monitor", StatSort::kMonitor},
    {"p99", StatSort::kP99},
    {"max", StatSort::kMax},
    {"name", StatSort::kName},
}};

template <typename Table>
std::vector<std::string> names_in(const Table& table) {
  std::vector<std::string> names;
  for (const auto& [name, value] : table) names.emplace_back(name);
  return names;
}

StatOptions stat_options(const StatCommand& command) {
  StatOptions options;
  for (const auto& [name, sort] : kSortByName)
    if (name == command.sort) options.sort = sort;
  for (const std::string& by : command.by) {
    options.by_vcpu |= by == kByVcpu;
    for (const auto& [name, keys] : kKeysByName)
      if (name == by) options.keys = keys;
  }
  if (command.no_keys) options.keys = StatKeys::kNone;
  if (!command.trace.json) options.addresses_max = command.table.top;
  return options;
}

void print_stat_json(const TraceReader& reader, const Stat& stat, bool is_interval,
                     Console& console) {
  nlohmann::ordered_json document = {{"kvmtape_json", 1}};
  document["complete"] = reader.health().complete();
  document["session"] = session_json(reader.session());
  document["totals"] = totals_json(reader);
  document["totals"]["selected"] = stat.exits;
  if (is_interval) document["interval"] = {{"from_ns", stat.from_ns}, {"to_ns", stat.to_ns}};
  document["rows"] = rows_json(stat);
  console.print(to_line(document));
}

// Refreshed in place on a terminal; one table below the other elsewhere.
int run_live(const StatCommand& command, const StatOptions& options, int64_t interval_ns,
             Console& console) {
  constexpr int64_t kRefreshNs = 1'000'000'000;
  TraceOptions trace = command.trace;
  if (const auto process = process_named(trace.trace)) {
    auto found = trace_of_process(*process);
    if (!found.ok()) return console.fail(found.error());
    trace.trace = *found;
  }
  const bool in_place = isatty(STDOUT_FILENO) != 0;
  const auto print = [&](const TraceReader& reader, const Stat& stat) {
    if (command.trace.json) return print_stat_json(reader, stat, true, console);
    if (in_place) console.print("\x1b[H\x1b[2J");
    console.print(fmt::format("{}: {}, {} lost since it began\n", printable(reader.path()),
                              counted(reader.exits(), "exit"), count_text(reader.lost())));
    print_stat(stat, command.table, console);
    if (!in_place) console.print("\n");
  };
  return watch_exits(trace, command.select, options, interval_ns == 0 ? kRefreshNs : interval_ns,
                     print, console);
}

void print_intervals(TraceReader& reader, const StatCommand& command, const StatOptions& options,
                     int64_t interval_ns, Console& console) {
  const char* blank_line = "";
  if (command.trace.json) reader.check();  // before the first line says whether it is complete
  count_intervals(reader, options, interval_ns, [&](const Stat& stat) {
    if (command.trace.json) {
      print_stat_json(reader, stat, true, console);
    } else {
      console.print(fmt::format("{}from {} s to {} s\n", std::exchange(blank_line, "\n"),
                                seconds_text(stat.from_ns), seconds_text(stat.to_ns)));
      print_stat(stat, command.table, console);
    }
    return !console.closed();
  });
}

int run_stat(const StatCommand& command, Console& console) {
  StatOptions options = stat_options(command);
  int64_t interval_ns = 0;
  if (!command.interval.empty()) {
    const auto parsed = parse_time_range(command.interval + ",");
    if (!parsed.ok() || parsed->first <= 0)
      return console.fail(fmt::format(
          "--interval: '{}' is no time greater than 0; write 1s or 100ms", command.interval));
    interval_ns = parsed->first;
  }
  if (command.live) return run_live(command, options, interval_ns, console);
  auto opened = command.trace.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  auto selection = command.select.selection(reader);
  if (!selection.ok()) return console.fail(selection.error());
  options.selection = *selection;
  if (command.select.tail != 0) {
    const ExitDecoder decoder(decode_context_of(reader.session()));
    options.skip = SelectedItems(reader, command.select, *selection, decoder).skipped();
  }
  if (interval_ns != 0) {
    print_intervals(reader, command, options, interval_ns, console);
    return report_health(reader, console);
  }
  const Stat stat = count_exits(reader, options);
  if (stat.exits == 0 && stat.lost == 0 && reader.exits() != 0)
    note_nothing_selected(reader, console);
  reader.check();  // the totals are those of the whole recording
  if (command.trace.json)
    print_stat_json(reader, stat, false, console);
  else
    print_stat(stat, command.table, console);
  if (stat.rows.empty() && stat.exits != 0)
    console.warn(fmt::format("{}: none of these exits has such a key ({})", reader.path(),
                             fmt::join(command.by, ", ")));
  return report_health(reader, console);
}

}  // namespace

void add_stat(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("stat", "counts, shares, guest and monitor time by exit");
  auto command = std::make_shared<StatCommand>();
  command->trace.add_to(*verb);
  command->select.add_to(*verb);
  std::vector<std::string> by = names_in(kKeysByName);
  by.emplace_back(kByVcpu);
  verb->add_option("--by", command->by,
                   "key (unless given): each exit and its keys; exit: no keys; port, address, msr, "
                   "hypercall, ec: only exits with such a key; vcpu: each vCPU, may be combined")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of(by));
  verb->add_option("--sort", command->sort,
                   "count, guest or monitor (total time), p99 or max (of the monitor's), name")
      ->check(one_of(names_in(kSortByName)));
  verb->add_option("--interval", command->interval,
                   "one table for each T of recorded time: 100ms, 1s; with --live: how often")
      ->type_name("T");
  CLI::Option* live = verb->add_flag(
      "--live", command->live,
      "what came since the last look at a recording that runs, every second; instead of the "
      "recording the process of its monitor or recorder may be named");
  for (const char* option : {"--seq", "--time", "--tail"}) live->excludes(option);
  verb->add_flag("--no-keys", command->no_keys, "as --by exit: much faster than with keys");
  verb->add_option("--top", command->table.top, "keys shown below each exit (text only)")
      ->check(any_number())
      ->type_name("N");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->trace.apply(console);
      command->table.all_times = command->trace.verbose;
      return run_stat(*command, console);
    };
  });
}

}  // namespace kvmtape
