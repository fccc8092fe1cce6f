// `kvmtape record`: an unmodified monitor, recorded from its start to its end.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/leftover_rings.h"
#include "cli/option_values.h"
#include "cli/record_filter.h"
#include "cli/trace_options.h"
#include "recorder/attach/attach.h"
#include "recorder/record/record.h"
#include "recorder/record/way.h"
#include "recorder/ring/ring_memory.h"
#include "schema/base/shell_word.h"
#include "schema/trace_file.h"

namespace kvmtape {
namespace {

struct RecordCommand {
  OutputOptions output;
  RecordOptions record;
  std::string ring_full = "drop";
  std::string registers = "debug-exits";
  uint64_t flight_bytes = 0;
  std::vector<std::string> triggers;
  std::string age;
  std::vector<std::string> exits, vcpus, addresses;
  bool check = false;
  uint32_t pid = 0;  // 0: a command is started
  std::string way = "auto";
};

// False if it is not a policy; CLI11 says so.
bool set_registers(const std::string& text, RecordingOptions& options) {
  constexpr std::string_view kEvery = "every=";
  if (text == "debug-exits") {
    options.registers = RegisterPolicy::kDebugExits;
  } else if (text == "never") {
    options.registers = RegisterPolicy::kNever;
  } else if (text == "sync") {
    options.registers = RegisterPolicy::kSync;
  } else if (text == "every") {
    options.registers = RegisterPolicy::kEvery;
  } else if (text.starts_with(kEvery)) {
    options.registers = RegisterPolicy::kEvery;
    const char* end = text.data() + text.size();
    const auto [behind, error] =
        std::from_chars(text.data() + kEvery.size(), end, options.registers_every);
    return error == std::errc{} && behind == end && options.registers_every != 0;
  } else {
    return false;
  }
  return true;
}

AttachOptions attach_options(const RecordCommand& command) {
  AttachOptions options{command.record.recording, command.pid, std::nullopt};
  if (command.way == "bpf") options.way = Way::Kind::kBpf;
  if (command.way == "ptrace") options.way = Way::Kind::kPtrace;
  return options;
}

void add_filters(CLI::App& verb, RecordCommand& command) {
  verb.add_option("--exit", command.exits,
                  "record only these exits, NAME,...: KVM_EXIT_IO, io or 2")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--vcpu", command.vcpus, "only these vCPUs, by KVM's id, N,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--address", command.addresses,
                  "only MMIO at these addresses, and port I/O at these ports: A-B,...")
      ->delimiter(',')
      ->allow_extra_args(false);
}

Result<void> set_filter(RecordCommand& command) {
  CaptureFilter& filter = command.record.recording.filter;
  KVMTAPE_TRY(keep_exits(command.exits, filter));
  KVMTAPE_TRY(keep_vcpus(command.vcpus, filter));
  return keep_addresses(command.addresses, filter);
}

// Options that would do nothing beside, or without, the others that were given.
void check_combination(const CLI::App& verb, const RecordCommand& command) {
  const bool flight = command.flight_bytes != 0;
  const auto is_given = [&](const char* option) { return verb.get_option(option)->count() != 0; };
  if (command.pid == 0 && command.record.command.empty())
    throw CLI::RequiredError("a command behind --, or -p PID");
  if (command.pid != 0 && flight)
    throw CLI::ValidationError(
        "--flight does not go with -p: start the monitor by kvmtape record --flight SIZE -- "
        "COMMAND");
  if (command.pid != 0 && !command.vcpus.empty())
    throw CLI::ValidationError(
        "--vcpu does not go with -p: start the monitor by kvmtape record --vcpu N -- COMMAND");
  if (is_given("--max-files") && !is_given("--max-size") && !is_given("--max-age") && !flight)
    throw CLI::ValidationError(
        "--max-files bounds nothing alone: give --max-size or --max-age as well, or --flight");
  if (flight && is_given("--full") && command.ring_full == "drop")
    throw CLI::ValidationError(
        "--full drop does not go with --flight, whose rings keep the last exits: leave it out");
}

// What --flight means for the rings; the rules have been checked.
void set_flight(RecordCommand& command) {
  RecordingOptions& options = command.record.recording;
  if (command.flight_bytes == 0) return;
  options.flight = true;
  options.ring_bytes = command.flight_bytes;
  options.ring_bytes_total = std::max(options.ring_bytes_total, 4 * command.flight_bytes);
  if (command.triggers.empty()) options.triggers = *parse_triggers("");
  for (const std::string& rule : command.triggers) (void)add_trigger(rule, options.triggers).ok();
}

const char* way_name(Way::Kind kind) {
  switch (kind) {
    case Way::Kind::kPreload:
      return "preload";
    case Way::Kind::kBpf:
      return "bpf";
    case Way::Kind::kPtrace:
      return "ptrace";
    case Way::Kind::kNone:
      break;
  }
  return "none";
}

int check(const RecordCommand& command, Console& console) {
  const auto way = command.pid != 0 ? choose_attach_way(attach_options(command))
                                    : choose_start_way(command.record.command.front());
  if (!way.ok()) return console.fail(way.error());
  if (command.output.json)
    console.print(to_line({{"kvmtape_json", 1},
                           {"way", way_name(way->kind)},
                           {"program", way->program},
                           {"why", way->why},
                           {"next", way->next_step}}));
  else
    console.print(printable(way->to_string()) + "\n");
  return way->kind == Way::Kind::kNone ? kAnswerIsNo : kDone;
}

// What the last line does not say.
void remark_on(const RecordingTotals& totals, Console& console) {
  if (totals.write_errors != 0)
    console.warn(fmt::format(
        "{} failed, the last of them: {}{}", counted(totals.write_errors, "write"),
        totals.write_error,
        totals.rings_alone.empty()
            ? ""
            : fmt::format("; the newest exits are in the rings: kvmtape recover {} -o FILE",
                          shell_path(totals.rings_alone))));
  if (totals.lost_unwritten != 0)
    console.warn(counted_were(totals.lost_unwritten, "exit") +
                 " lost while nothing could be written");
  if (totals.exits_removed != 0)
    console.warn(counted(totals.exits_removed, "exit") + " went with files that were removed");
  if (totals.files > 1)
    console.note(fmt::format("recorded in {} files, each of which stands alone", totals.files));
}

int run(RecordCommand& command, Console& console) {
  if (auto filter = set_filter(command); !filter.ok()) {
    console.fail(filter.error());
    return kRecordFailed;
  }
  if (command.check) return check(command, console);
  // Like any other wrong option, and unlike a disk that is full: it does not pass by itself, and
  // whoever wrote it wants to know before the monitor has run for a week.
  const RecordingOptions& recording = command.record.recording;
  if (auto old = TraceFile::find_old(recording.path, recording.force); !old.ok()) {
    console.fail(old.error());
    return kRecordFailed;
  }
  const Say say = [&](const std::string& line) { console.warn(line); };
  const Say note = [&](const std::string& line) { console.note(line); };
  const auto record = [&] {
    if (command.pid != 0) return run_attached(attach_options(command), say, note);
    const auto way = choose_start_way(command.record.command.front());
    if (way.ok() && way->kind == Way::Kind::kBpf) {
      note("recording by " + way->to_string());
      return run_watched(command.record, say);
    }
    return run_recorded(command.record, say);
  };
  const std::string replaced = recording.force ? leftover_rings_text(recording.path) : "";
  const RecordReport report = record();
  if (report.totals) console.note(replaced);
  if (report.totals) {
    remark_on(*report.totals, console);
    console.note(recorded_text(report.path, report.totals->exits, report.totals->vcpus,
                               report.totals->lost, report.totals->bytes));
  }
  if (!report.not_recorded.empty())
    console.note("[ kvmtape: NOT recorded: " + report.not_recorded + " ]");
  return report.status;
}

}  // namespace

void add_record(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand(
      "record",
      "starts an unmodified monitor and records it; ends with the monitor's status, 125 if it was "
      "not started, 126 or 127 if it could not be. With -p, records one that runs");
  verb->footer(
      "Exit status: the command's own, or 128+n if signal n ended it; 125 it was not started; 126, "
      "127 it could\nnot be. With -p: 0 done; 3 exits were lost; 125 it failed. With --check: 0 it "
      "could be recorded,\n1 not.");
  auto command = std::make_shared<RecordCommand>();
  RecordingOptions& recording = command->record.recording;
  command->output.add_to(*verb);
  verb->add_option("-o,--output", recording.path,
                   "the recording to write; without it, a new one in the default directory")
      ->check(recording_file())
      ->type_name("FILE");
  verb->add_flag("--force", recording.force, "replace an existing recording");
  verb->add_option("--ring", recording.ring_bytes, "memory for each vCPU's ring; 1M unless given")
      ->transform(size_in_bytes(kRingBytesMin, kRingBytesMax))
      ->type_name("SIZE");
  verb->add_option("--ring-dir", recording.ring_directory,
                   "in which directory the rings lie, instead of /dev/shm/kvmtape-UID");
  verb->add_option("--full", command->ring_full, "what goes when a ring is full")
      ->check(one_of({"drop", "overwrite"}));
  verb->add_option("--flight", command->flight_bytes,
                   "keep each vCPU's last exits in a ring of so many bytes; write nothing until a "
                   "trigger")
      ->transform(size_in_bytes(kRingBytesMin, kRingBytesMax))
      ->type_name("SIZE");
  verb->add_option("--trigger", command->triggers,
                   "what makes a flight recorder write: crash, same=N/T, slow=T, silent=T, end (T: "
                   "10ms); repeatable; crash and end unless given")
      ->allow_extra_args(false)
      ->check([](const std::string& rule) {
        Triggers ignored;
        const auto added = add_trigger(rule, ignored);
        return added.ok() ? std::string() : added.error().message;
      })
      ->needs("--flight");
  add_filters(*verb, *command);
  verb->add_option("--max-size", recording.bounds.bytes_max,
                   "put the file aside when it has so many bytes, and begin the next")
      ->transform(size_in_bytes(kFileBytesMin))
      ->type_name("SIZE")
      ->excludes("--flight");
  verb->add_option("--max-age", command->age, "the same when it is so old: 10s, 5m, 1h")
      ->check([](const std::string& text) {
        const auto age = parse_duration(text);
        return age.ok() ? std::string() : age.error().message;
      })
      ->excludes("--flight");
  verb->add_option("--max-files", recording.bounds.files_max,
                   "how many files are kept, the newest; with --flight the first snapshot and the "
                   "newest; 0: all; 16 unless given")
      ->check(any_number())
      ->type_name("N");
  verb->add_option("--registers", command->registers,
                   "when registers are taken: debug-exits, sync, every, every=N or never")
      ->check([command](const std::string& text) {
        return set_registers(text, command->record.recording)
                   ? std::string()
                   : "must be debug-exits, sync, every, every=N or never, not '" + text + "'";
      });
  verb->add_flag("--must-record", command->record.must_record,
                 "do not start the monitor where it cannot be recorded");
  verb->add_flag("--check", command->check,
                 "says how it would be recorded and why; starts nothing");
  verb->get_option("--json")->needs("--check");  // else standard output is the monitor's
  CLI::Option* pid = verb->add_option("-p,--pid", command->pid,
                                      "attach to this process, until it ends or SIGINT comes")
                         ->check(positive_number())
                         ->type_name("PID");
  verb->add_option("--way", command->way, "with -p: bpf, ptrace, or auto, the better that works")
      ->check(one_of({"auto", "bpf", "ptrace"}))
      ->needs(pid);
  verb->add_option("command", command->record.command, "behind --: the monitor and its arguments")
      ->excludes(pid);
  verb->callback([command, verb, &chosen] {
    command->record.recording.overwrite = command->ring_full == "overwrite";
    check_combination(*verb, *command);
    set_flight(*command);
    if (!command->age.empty())
      command->record.recording.bounds.age_ns_max = *parse_duration(command->age);
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run(*command, console);
    };
  });
}

}  // namespace kvmtape
