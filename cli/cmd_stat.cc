// `kvmtape stat`: how often each exit came and what it cost, by port, MMIO address, MSR, hypercall.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "analysis/stat.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/option_values.h"
#include "cli/selected_items.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

struct StatCommand {
  TraceOptions trace;
  SelectOptions select;
  bool no_keys = false;
  size_t top = 10;  // keys shown below each exit
};

std::string times_text(const Histogram& times) {
  if (times.count() == 0)
    return fmt::format("{:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}", "-", "-", "-", "-", "-",
                       "-", "-");
  return fmt::format("{:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}", duration_text(times.min()),
                     duration_text(times.mean()), duration_text(times.quantile(0.5)),
                     duration_text(times.quantile(0.99)), duration_text(times.quantile(0.999)),
                     duration_text(times.max()), duration_text(times.total()));
}

void print_table(const Stat& stat, size_t top, Console& console) {
  size_t width = 24;
  for (const StatRow& row : stat.rows)
    width = std::max(width, row.key.empty() ? row.exit.size() : row.key.size() + 2);
  const std::string times = fmt::format("{:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}", "min",
                                        "mean", "p50", "p99", "p999", "max", "total");
  console.print(console.painted(fmt::format("{:<{}} {:>12} {:>7}  {} {}", "exit", width, "count",
                                            "share", "time in", times),
                                "1") +
                "\n");
  size_t keys = 0, hidden = 0;
  const auto print_hidden = [&] {
    if (hidden != 0) console.print(fmt::format("  {}\n", counted(hidden, "more key")));
    hidden = 0;
  };
  for (const StatRow& row : stat.rows) {
    const bool is_key = !row.key.empty();
    if (!is_key) print_hidden();
    keys = is_key ? keys + 1 : 0;
    if (keys > top) {
      ++hidden;
      continue;
    }
    const double share = 100.0 * static_cast<double>(row.count) /
                         static_cast<double>(std::max<uint64_t>(stat.exits, 1));
    const std::string name = fmt::format("{:<{}}", is_key ? "  " + row.key : row.exit, width);
    console.print(fmt::format("{} {:>12} {:>6.2f}%  {:<7} {}\n",
                              is_key ? name : console.painted(name, "36"), count_text(row.count),
                              share, "guest", times_text(row.guest_ns)));
    console.print(fmt::format("{:<{}} {:>12} {:>7}  {:<7} {}\n", "", width, "", "", "monitor",
                              times_text(row.monitor_ns)));
  }
  print_hidden();
  console.print(fmt::format("{}, {} lost\n", counted(stat.exits, "exit"), count_text(stat.lost)));
}

int run_stat(const StatCommand& command, Console& console) {
  auto opened = command.trace.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  auto selection = command.select.selection(reader);
  if (!selection.ok()) return console.fail(selection.error());
  StatOptions options;
  options.selection = *selection;
  options.keys = !command.no_keys;
  if (command.select.tail != 0) {
    const ExitDecoder decoder(decode_context_of(reader.session()));
    options.skip = SelectedItems(reader, command.select, *selection, decoder).skipped();
  }
  const Stat stat = count_exits(reader, options);
  reader.check();  // the totals are those of the whole recording
  if (command.trace.json) {
    nlohmann::ordered_json document = {{"kvmtape_json", 1}};
    document["session"] = session_json(reader.session());
    document["totals"] = totals_json(reader);
    document["totals"]["selected"] = stat.exits;
    document["rows"] = rows_json(stat);
    console.print(to_line(document));
  } else {
    print_table(stat, command.top, console);
  }
  return report_health(reader, console);
}

}  // namespace

void add_stat(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("stat", "counts, shares, guest and monitor time by exit");
  auto command = std::make_shared<StatCommand>();
  command->trace.add_to(*verb);
  command->select.add_to(*verb);
  verb->add_flag("--no-keys", command->no_keys,
                 "exits only, not by port, address, MSR or hypercall: much faster");
  verb->add_option("--top", command->top, "keys shown below each exit (text only)")
      ->check(any_number())
      ->type_name("N");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->trace.apply(console);
      return run_stat(*command, console);
    };
  });
}

}  // namespace kvmtape
