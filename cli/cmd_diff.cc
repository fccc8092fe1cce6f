// `kvmtape diff`: what is different between two recordings, and which of it their kernels explain.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "analysis/diff/diff.h"
#include "analysis/diff/diff_json.h"
#include "analysis/diff/distributions.h"
#include "analysis/diff/session_changes.h"
#include "analysis/recording_json.h"
#include "analysis/symbols/symbols.h"
#include "cli/commands.h"
#include "cli/diff_text.h"
#include "cli/option_values.h"
#include "cli/selection.h"
#include "cli/suggest.h"
#include "cli/trace_options.h"
#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

struct GuestSymbols {
  std::string path;
  std::string moved;
};

struct DiffCommand {
  TraceOptions a;  // and what both share
  std::string b;
  std::string ring_directory_b;
  GuestSymbols symbols_a, symbols_b;
  SelectOptions select;
  std::vector<std::string> ignored;
  std::vector<std::string> compared;
  std::string only;
  size_t top = 40;
  size_t limit = 10000;
  uint32_t times_percent = static_cast<uint32_t>(TimeNoise{}.percent);
  uint32_t distance = AlignmentLimits{}.distance_max;
};

std::vector<std::string> field_names() {
  std::vector<std::string> names{"flags"};
  for (const abi::AbiField& field : abi::header_fields()) names.emplace_back(field.name);
  for (const abi::MemberField& field : abi::member_fields()) names.emplace_back(field.field.name);
  for (const abi::StructField& field : abi::struct_fields())
    names.push_back(fmt::format("{}.{}", field.structure, field.field.name));
  for (const char* set : {"kvm_one_reg", "kvm_msrs"}) names.emplace_back(set);
  for (const abi::StructField& field : abi::struct_fields())
    if (std::ranges::find(names, field.structure) == names.end())
      names.emplace_back(field.structure);
  for (const abi::OneRegister& row : abi::one_registers())
    names.push_back(fmt::format("kvm_one_reg.{}", row.name));
  return names;
}

// A rule, a field, a register ("kvm_one_reg.MDSCR_EL1"), an exit, or a row of kernel_changes.
Result<void> ignore(const std::string& name, DiffRules& rules) {
  const std::vector<std::string> fields = field_names();
  std::vector<std::string> names = fields;
  if (name == "answers") {
    rules.answers = false;
    return {};
  }
  if (name == "registers") {
    rules.registers = false;
    return {};
  }
  const bool is_unnamed = name.starts_with("kvm_one_reg.0x") || name.starts_with("kvm_msrs.");
  if (is_unnamed || std::ranges::find(fields, name) != fields.end()) {
    rules.ignored_fields.push_back(name);
    return {};
  }
  for (const KernelChange& change : kernel_changes()) {
    names.emplace_back(change.id);
    if (change.id == name) {
      rules.ignored_changes.push_back(name);
      return {};
    }
  }
  if (const auto exit = parse_exit_name(name); exit.ok()) {
    rules.ignored_exits.push_back(*exit);
    return {};
  }
  names.emplace_back("answers");
  names.emplace_back("registers");
  const std::string near = nearest_name(name, names);
  return usage_error(fmt::format("--ignore: '{}' is unknown; {}", name,
                                 near.empty() ? "write answers, registers, a field, an exit, or "
                                                "the id of a kernel change, as in --ignore "
                                                "debug.arch.far,KVM_EXIT_HLT"
                                              : "did you mean " + near + "?"));
}

Result<DiffOptions> options_of(const DiffCommand& command, const TraceReader& a,
                               const TraceReader& b) {
  DiffOptions options;
  options.only_unexplained = command.only == "unexplained";
  options.changes_max = command.limit;
  options.limits.distance_max = command.distance;
  for (const std::string& name : command.ignored) KVMTAPE_TRY(ignore(name, options.rules));
  for (const std::string& name : command.compared) {
    if (name == "eintr") options.rules.eintr = true;
    if (name == "interrupts") options.rules.interrupts = true;
    if (name == "addresses") options.rules.addresses = true;
  }
  SelectOptions of_either = command.select;
  of_either.vcpus.clear();  // which one of the two may lack
  KVMTAPE_TRY_ASSIGN(options.selection, of_either.selection(a));
  options.tail = command.select.tail;
  for (const std::string& text : command.select.vcpus) {
    KVMTAPE_TRY_ASSIGN(const uint64_t index, parse_number("--vcpu", text));
    const auto is_it = [&](const VcpuTotals& vcpu) { return vcpu.index == index; };
    if (std::ranges::none_of(a.vcpus(), is_it) && std::ranges::none_of(b.vcpus(), is_it))
      return usage_error(fmt::format(
          "--vcpu {}: neither recording has such a vCPU; kvmtape info lists them", text));
    options.selection.vcpus.push_back(static_cast<uint32_t>(index));
  }
  return options;
}

// nullopt: none are given.
Result<std::optional<Symbols>> load_symbols(const GuestSymbols& given, char side,
                                            Console& console) {
  const auto offset = given.moved.empty() ? 0 : hex_or_decimal(given.moved);
  if (!offset)
    return usage_error(
        fmt::format("--kaslr-{}: '{}' is no number; write 0x1a000000", side, given.moved));
  if (given.path.empty() && *offset != 0)
    return usage_error(fmt::format(
        "--kaslr-{0}: there are no symbols to be moved; give --symbols-{0} as well", side));
  if (given.path.empty()) return std::optional<Symbols>();
  KVMTAPE_TRY_ASSIGN(Symbols symbols, Symbols::load(given.path));
  if (symbols.as_it_ran() && *offset != 0)
    return usage_error(fmt::format(
        "--kaslr-{}: {} has modules' symbols, and so is of the running kernel: it is moved already",
        side, given.path));
  if (symbols.image() != nullptr && given.moved.empty())
    console.warn(fmt::format(
        "it is not known how far KASLR moved the kernel of {}: taken as 0; give --kaslr-{}",
        given.path, side));
  symbols.set_offset(*offset);
  return std::optional(std::move(symbols));
}

int run_diff(const DiffCommand& command, Console& console) {
  TraceOptions trace_b = command.a;
  trace_b.trace = command.b;
  trace_b.ring_directory = command.ring_directory_b;
  auto opened_a = command.a.open(), opened_b = trace_b.open();
  if (!opened_a.ok()) return console.fail(opened_a.error());
  if (!opened_b.ok()) return console.fail(opened_b.error());
  TraceReader &a = **opened_a, &b = **opened_b;
  auto options = options_of(command, a, b);
  if (!options.ok()) return console.fail(options.error());
  const auto symbols_a = load_symbols(command.symbols_a, 'a', console);
  if (!symbols_a.ok()) return console.fail(symbols_a.error());
  const auto symbols_b = load_symbols(command.symbols_b, 'b', console);
  if (!symbols_b.ok()) return console.fail(symbols_b.error());
  if (*symbols_a && options->rules.addresses)
    return console.fail(usage_error(
        "--compare addresses: as they are, not by symbol; leave out that or --symbols-a and -b"));
  if (*symbols_a) options->symbols_a = &**symbols_a;
  if (*symbols_b) options->symbols_b = &**symbols_b;
  TimeNoise noise{.percent = static_cast<double>(command.times_percent)};
  if (command.times_percent == 0) noise.ns = 0;
  // A tail begins elsewhere on each vCPU of each side, and no count of whole recordings is its.
  ExitCounts counts_a, counts_b;
  if (options->tail == 0)
    options->beside = [&](bool in_b) {
      (in_b ? counts_b : counts_a) = count_by_exit(in_b ? b : a, options->selection);
    };
  const auto diff = compare(a, b, *options);
  if (!diff.ok()) return console.fail(diff.error());
  const std::vector<Distribution> distributions =
      compare_distributions(std::move(counts_a), std::move(counts_b), noise);
  const std::vector<SessionChange> session = session_changes(a.session(), b.session());
  const bool equal =
      (options->only_unexplained ? diff->totals.unexplained() : diff->totals.differences()) == 0;
  a.check();
  b.check();
  if (command.a.json)
    console.print(to_line(diff_json(a, b, *diff, session, distributions, *options, equal)));
  else
    print_diff(a, b, *diff, session, distributions,
               {options->only_unexplained, command.a.verbose, command.top, noise}, console);
  const int health = worse_of(report_health(a, console), report_health(b, console));
  return worse_of(health, equal ? kDone : kAnswerIsNo);
}

}  // namespace

void add_diff(CLI::App& app, Action& chosen) {
  CLI::App* verb =
      app.add_subcommand("diff", "what differs between two recordings, and what explains it");
  auto command = std::make_shared<DiffCommand>();
  verb->add_option("a", command->a.trace, "a recording")->required();
  verb->add_option("b", command->b, "the recording to compare it with")->required();
  command->a.OutputOptions::add_to(*verb);
  command->select.add_to(*verb);
  verb->add_option(
          "--only", command->only,
          "unexplained: leave out what known kernel changes explain, in the exit status too")
      ->check(one_of({"unexplained"}));
  verb->add_option("--ignore", command->ignored,
                   "do not compare NAME,...: answers, a field (debug.arch.far), an exit "
                   "(KVM_EXIT_HLT), or what a kernel change (arm64-hsr-high) explains")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--compare", command->compared,
                   "compare what is left out otherwise, NAME,...: eintr, interrupts, addresses (as "
                   "they are, not by memory slot or symbol)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of({"eintr", "interrupts", "addresses"}));
  verb->add_option("--top", command->top, "kinds of differences shown (text only); 0: all")
      ->check(any_number())
      ->type_name("N");
  verb->add_option("--limit", command->limit, "differences listed (JSON only)")
      ->check(any_number())
      ->type_name("N");
  verb->add_option("--distance", command->distance,
                   "between two anchors, align as far as so many exits more or less")
      ->check(positive_number())
      ->type_name("N");
  verb->add_option(
          "--times", command->times_percent,
          "show times whose median moved by so many percent or more (and 200 ns); 0: by anything")
      ->check(any_number())
      ->type_name("PERCENT");
  const auto add_symbols = [&](char side, GuestSymbols& symbols) {
    CLI::Option* path = verb->add_option(
        fmt::format("--symbols-{}", side), symbols.path,
        side == 'a' ? "a copy of the first guest's /proc/kallsyms, read as root, its System.map or "
                      "vmlinux: addresses of its code are compared by symbol, wherever KASLR put it"
                    : "likewise of the second guest; both or neither");
    verb->add_option(fmt::format("--kaslr-{}", side), symbols.moved,
                     "how far that kernel was moved, 0x1a000000; kallsyms says so itself")
        ->type_name("N");
    return path->type_name("FILE");
  };
  CLI::Option* symbols_a = add_symbols('a', command->symbols_a);
  CLI::Option* symbols_b = add_symbols('b', command->symbols_b);
  symbols_a->needs(symbols_b);
  symbols_b->needs(symbols_a);
  verb->add_option("--ring-dir-a", command->a.ring_directory,
                   "where the rings of the first recording lie, if not where its header says")
      ->type_name("DIR");
  verb->add_option("--ring-dir-b", command->ring_directory_b, "likewise of the second")
      ->type_name("DIR");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->a.apply(console);
      return run_diff(*command, console);
    };
  });
}

}  // namespace kvmtape
