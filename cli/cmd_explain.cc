// `kvmtape explain`: what the guest died of, what led there, and why, ranked.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "analysis/explain/explain_json.h"
#include "analysis/explain/kernel_offset.h"
#include "analysis/explain/rules.h"
#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/explain_guests.h"
#include "cli/explain_text.h"
#include "cli/selection.h"
#include "cli/suggest.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

constexpr char kAny[] = "any", kAuto[] = "auto";

struct ExplainCommand {
  TraceOptions trace;
  std::vector<std::string> vcpus;
  std::string seq;
  std::string time;
  std::vector<std::string> fail_on;
  ExplainTextOptions text;
  bool list_rules = false;
  std::string vmlinux, system_map, kallsyms;
  std::string kaslr = kAuto;
};

// An unknown rule in a script would never match, and look like a healthy guest.
Result<void> check_rules(const std::vector<std::string>& wanted) {
  std::vector<std::string> known{kAny};
  for (const auto& rule : all_rules()) known.emplace_back(rule->id());
  for (const std::string& name : wanted) {
    if (std::ranges::find(known, name) != known.end()) continue;
    const std::string near = nearest_name(name, known);
    return Error{ErrorCode::kUsage,
                 fmt::format("--fail-on: there is no rule '{}'; {}", name,
                             near.empty() ? "kvmtape explain --rules lists them"
                                          : "did you mean " + near + "?"),
                 {},
                 {}};
  }
  return {};
}

bool matches(const Explanation& explanation, const std::vector<std::string>& wanted) {
  const auto named = [&](const Finding& finding) {
    return std::ranges::find(wanted, finding.rule) != wanted.end();
  };
  const bool any = std::ranges::find(wanted, kAny) != wanted.end();
  return (any && !explanation.causes.empty()) || std::ranges::any_of(explanation.causes, named) ||
         std::ranges::any_of(explanation.notes, named);
}

struct LoadedSymbols {
  std::optional<Symbols> table;
  std::string moved;  // how far, and who says so; empty: not at all
};

// How far the kernel was moved: as given, as it said itself when it panicked, or as its code and
// the crash's addresses fit together.
void move(Symbols& symbols, const Case& all, std::string& moved, Console& console) {
  const auto by = [&](uint64_t offset, const std::string& who) {
    symbols.set_offset(offset);
    moved = fmt::format("the kernel was moved by {:#x}: {}", offset, who);
  };
  std::optional<uint64_t> said;
  for (const ConsoleText::Console& written : all.console.all())
    if (const auto offset = kernel_offset_in(written.tail)) said = offset;
  if (said) return by(*said, "it said so on its console");
  if (symbols.image() != nullptr)
    if (const auto found = find_kernel_offset(all, *symbols.image()))
      return by(found->offset,
                fmt::format("{} bytes of code at the program counter and {} return addresses on "
                            "the stack fit there, and nowhere else",
                            found->code_bytes, found->return_addresses));
  console.warn(
      "it is not known how far KASLR moved the guest's kernel: taken as 0; give --kaslr, or "
      "--kallsyms of the running guest");
}

// nullopt: to be found out.
Result<std::optional<uint64_t>> given_offset(const ExplainCommand& command) {
  if (command.kaslr == kAuto) return std::optional<uint64_t>();
  const auto offset = hex_or_decimal(command.kaslr);
  if (!offset)
    return usage_error(
        fmt::format("--kaslr: '{}' is no number; write 0x1a000000, or {}", command.kaslr, kAuto));
  if (command.vmlinux.empty() && command.system_map.empty() && command.kallsyms.empty())
    return usage_error(
        "--kaslr: there are no symbols to be moved; give --vmlinux or --system-map as well");
  return offset;
}

Result<LoadedSymbols> load_symbols(const ExplainCommand& command, std::optional<uint64_t> kaslr,
                                   const Case& all, Console& console) {
  const bool as_linked = command.kallsyms.empty();
  const std::string& path = !as_linked                ? command.kallsyms
                            : command.vmlinux.empty() ? command.system_map
                                                      : command.vmlinux;
  LoadedSymbols loaded;
  if (path.empty()) return loaded;
  KVMTAPE_TRY_ASSIGN(Symbols symbols, Symbols::load(path));
  if (kaslr) {
    symbols.set_offset(*kaslr);
  } else if (as_linked) {
    move(symbols, all, loaded.moved, console);
  }
  loaded.table = std::move(symbols);
  return loaded;
}

int list_rules(Console& console) {
  for (const auto& rule : all_rules())
    console.print(fmt::format("{:<24} {}\n", rule->id(), rule->about()));
  return kDone;
}

int run_explain(const ExplainCommand& command, Console& console) {
  if (command.list_rules) return list_rules(console);
  if (auto checked = check_rules(command.fail_on); !checked.ok())
    return console.fail(checked.error());
  const auto kaslr = given_offset(command);
  if (!kaslr.ok()) return console.fail(kaslr.error());
  auto opened = command.trace.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  SelectOptions select;
  select.vcpus = command.vcpus;
  select.seq = command.seq;
  select.time = command.time;
  auto selection = select.selection(reader);
  if (!selection.ok()) return console.fail(selection.error());
  const Explanation explanation = explain(reader, *selection);
  const bool is_all = command.vcpus.empty() && command.seq.empty() && command.time.empty();
  const auto guests = is_all ? explain_probe_guests(reader) : std::vector<ProbeGuest>{};
  auto symbols = load_symbols(command, *kaslr, *explanation.all, console);
  if (!symbols.ok()) return console.fail(symbols.error());
  ExplainTextOptions text = command.text;
  text.symbols = symbols->table ? &*symbols->table : nullptr;
  text.symbols_moved = symbols->moved;
  if (command.trace.json)
    console.print(to_line(explanation_json(explanation, guests, text.history_lines, text.symbols)));
  else if (guests.size() > 1)
    print_probe_guests(guests, explanation.notes, reader.path(), console);
  else
    print_explanation(explanation, text, console);
  const int health = report_health(reader, console);
  return matches(explanation, command.fail_on) ? worse_of(kAnswerIsNo, health) : health;
}

}  // namespace

void add_explain(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("explain", "why the guest died, with evidence, ranked");
  auto command = std::make_shared<ExplainCommand>();
  command->trace.add_to(*verb);
  verb->add_option("--vcpu", command->vcpus, "only these vCPUs (indexes), N,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--seq", command->seq, "only these sequence numbers, A-B: another end");
  verb->add_option("--time", command->time, "only from A to B, A,B: another end");
  verb->add_option("--fail-on", command->fail_on,
                   "exit status 1 if this rule (or any that names a cause) finds something")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--tail", command->text.history_lines, "how many exits that led there to show")
      ->check(CLI::Range(1, 1000));
  verb->add_option(
      "--vmlinux", command->vmlinux,
      "the guest kernel's vmlinux: names for addresses, source lines where it has DWARF");
  verb->add_option("--system-map", command->system_map, "the same from its System.map")
      ->excludes("--vmlinux");
  verb->add_option("--kallsyms", command->kallsyms,
                   "a copy of the running guest's /proc/kallsyms, read as root")
      ->excludes("--system-map")
      ->excludes("--vmlinux");
  verb->add_option(
      "--kaslr", command->kaslr,
      "how far the guest's kernel was moved, 0x1a000000; auto: as its panic said, or as "
      "the vmlinux fits the crash");
  verb->add_flag("--rules", command->list_rules, "lists the rules");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->trace.apply(console);
      ExplainCommand wanted = *command;
      wanted.text.verbose = command->trace.verbose;
      return run_explain(wanted, console);
    };
  });
}

}  // namespace kvmtape
