// `kvmtape probe`: tiny guests on this machine's KVM, one for each exit that can be provoked.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/leftover_rings.h"
#include "cli/option_values.h"
#include "cli/suggest.h"
#include "cli/trace_options.h"
#include "recorder/probe/probe.h"

namespace kvmtape {
namespace {

struct ProbeCommand {
  OutputOptions output;
  ProbeOptions probe;
  uint32_t guest_seconds = kGuestTimeMax.count();
  bool list = false;
};

std::string_view outcome_name(GuestOutcome outcome) {
  switch (outcome) {
    case GuestOutcome::kAsExpected:
      return "as expected";
    case GuestOutcome::kRefused:
      return "refused";
    case GuestOutcome::kDiffers:
      return "differs";
  }
  return "?";
}

std::string_view outcome_color(GuestOutcome outcome) {
  if (outcome == GuestOutcome::kAsExpected) return "32";
  return outcome == GuestOutcome::kRefused ? "33" : "31";
}

int list(const ProbeCommand& command, Console& console) {
  if (command.output.json) {
    nlohmann::ordered_json guests = nlohmann::ordered_json::array();
    for (const GuestInfo& guest : list_guests())
      guests.push_back({{"name", guest.name}, {"what", guest.what}});
    console.print(to_line({{"kvmtape_json", 1}, {"guests", guests}}));
  } else {
    for (const GuestInfo& guest : list_guests())
      console.print(fmt::format("{:<28} {}\n", guest.name, guest.what));
  }
  return kDone;
}

void print_json(const ProbeReport& report, Console& console) {
  nlohmann::ordered_json guests = nlohmann::ordered_json::array();
  for (const GuestReport& guest : report.guests)
    guests.push_back({{"name", guest.name},
                      {"what", guest.what},
                      {"outcome", outcome_name(guest.outcome)},
                      {"exits", guest.exits},
                      {"detail", guest.detail}});
  console.print(to_line({{"kvmtape_json", 1},
                         {"path", report.path},
                         {"guests", guests},
                         {"totals",
                          {{"exits", report.totals.exits},
                           {"lost", report.totals.lost},
                           {"vcpus", report.totals.vcpus},
                           {"bytes", report.totals.bytes}}}}));
}

int run(const ProbeCommand& command, Console& console) {
  if (command.list) return list(command, console);
  std::vector<std::string> names;
  for (const GuestInfo& guest : list_guests()) names.push_back(guest.name);
  for (const std::string& name : command.probe.only) {
    if (std::ranges::find(names, name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    return console.fail(fmt::format(
        "--only: no guest is called '{}'; {}", name,
        near.empty() ? "kvmtape probe --list names them" : "did you mean " + near + "?"));
  }
  const std::string replaced =
      command.probe.force ? leftover_rings_text(command.probe.path) : std::string();
  auto report = run_probe(command.probe);
  if (!report.ok()) return console.fail(report.error());
  if (command.output.json) {
    print_json(*report, console);
  } else {
    for (const GuestReport& guest : report->guests)
      console.print(fmt::format("{:<28} {}  {}\n", guest.name,
                                console.painted(fmt::format("{:<11}", outcome_name(guest.outcome)),
                                                outcome_color(guest.outcome)),
                                guest.detail.empty() ? guest.what : guest.detail));
  }
  const kvmtape_totals& totals = report->totals;
  const bool incomplete = totals.lost != 0 || totals.write_errors != 0;
  int status = console.finish(incomplete ? kIncomplete : kDone);
  if (!report->not_sealed.empty()) status = console.fail(report->not_sealed);
  console.note(replaced);
  console.note(recorded_text(report->path, totals.exits, totals.vcpus, totals.lost, totals.bytes));
  return status;
}

}  // namespace

void add_probe(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand(
      "probe", "runs tiny guests on this machine's KVM and records every exit they provoke");
  auto command = std::make_shared<ProbeCommand>();
  command->output.add_to(*verb);
  verb->add_option("-o,--output", command->probe.path,
                   "the recording to write; without it, a new one in the default directory")
      ->check(recording_file())
      ->type_name("FILE");
  verb->add_flag("--force", command->probe.force, "replace an existing recording");
  verb->add_option("--only", command->probe.only, "only these guests, NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_flag("--list", command->list, "names the guests and runs none");
  verb->add_flag("--poison", command->probe.poison,
                 "fill kvm_run with 0xaa before each KVM_RUN: what the kernel wrote then shows");
  verb->add_option("--guest-seconds", command->guest_seconds,
                   "stop a guest that takes longer; 1 unless given: more on a machine that is busy")
      ->check(positive_number())
      ->type_name("N");
  verb->callback([command, &chosen] {
    command->probe.guest_time_max = std::chrono::seconds(command->guest_seconds);
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run(*command, console);
    };
  });
}

}  // namespace kvmtape
