// `kvmtape recover`: every readable exit of a recording, file and rings, into a sealed one.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "analysis/json_writer.h"
#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/leftover_rings.h"
#include "cli/option_values.h"
#include "cli/trace_options.h"
#include "replayer/rewrite/trace_rewriter.h"

namespace kvmtape {
namespace {

struct RecoverCommand {
  TraceOptions input;
  RewriteRequest request;
};

std::string saved_text(const RewriteTotals& totals, const TraceHealth& health) {
  std::string text = counted(totals.exits_from_file, "exit") + " from the file";
  const std::string rings = counted(health.ring_count, "ring");
  if (health.rings_alone)
    text = counted(totals.exits_from_rings, "exit") + " from " + rings;
  else if (totals.exits_from_rings != 0)
    text += fmt::format(", {} from {}", count_text(totals.exits_from_rings), rings);
  return fmt::format("{} saved, {} lost in {}{}; {} saved, {} lost", text,
                     counted(totals.exits_damaged, "exit"),
                     counted(totals.chunks_lost, "damaged chunk"), redundant_text(health),
                     counted(totals.bytes_saved, "byte"), count_text(totals.bytes_lost));
}

void print_json(const RewriteTotals& totals, const std::string& path, size_t vcpus,
                Console& console) {
  const nlohmann::ordered_json document = {
      {"kvmtape_json", 1},
      {"path", path},
      {"exits_from_file", totals.exits_from_file},
      {"exits_from_rings", totals.exits_from_rings},
      {"exits_damaged", totals.exits_damaged},
      {"exits_lost_before", totals.exits_lost_before},
      {"chunks_copied", totals.chunks_copied},
      {"chunks_rebuilt", totals.chunks_rebuilt},
      {"chunks_damaged", totals.chunks_lost},
      {"bytes_saved", totals.bytes_saved},
      {"bytes_lost", totals.bytes_lost},
      {"totals",
       {{"exits", totals.exits()},
        {"lost", totals.exits_damaged + totals.exits_lost_before},
        {"vcpus", vcpus},
        {"bytes", totals.bytes_written}}}};
  console.print(to_line(document));
}

int run_recover(RecoverCommand& command, Console& console) {
  auto opened = command.input.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  if (reader.health().writer_alive)
    console.warn(reader.path() + ": still being recorded: what comes after is not saved");
  reader.check();
  RewriteRequest& request = command.request;
  request.note = "kvmtape " KVMTAPE_VERSION " recover from " +
                 std::filesystem::path(reader.path()).filename().string();
  const auto totals = rewrite_trace(reader, request);
  if (!totals.ok()) return console.fail(totals.error());
  const TraceHealth& health = reader.health();
  if (command.input.json)
    print_json(*totals, request.path, reader.vcpus().size(), console);
  else
    console.print(fmt::format("{}: {}\n", printable(request.path), saved_text(*totals, health)));
  if (totals->exits_lost_before != 0)
    console.warn(fmt::format("{} {}; they stay gaps", counted(totals->exits_lost_before, "exit"),
                             health.rings_alone
                                 ? "had left the rings before, or been lost when this was recorded"
                                 : "had been lost when this was recorded"));
  for (const Error& problem : health.problems)
    console.warn(reader.path() + ": " + problem.to_string());
  if (const std::string text = abandoned_text(health); !text.empty())
    console.warn(reader.path() + ": " + text);
  else if (!health.sealed && health.open_end() != OpenEnd::kNone)
    console.warn(reader.path() +
                 ": was never sealed: what was written last, if anything, may be missing");
  if (const std::string text = copied_text(health); !text.empty())
    console.warn(reader.path() + ": " + text);
  const bool undamaged =
      health.damaged_chunks == 0 && totals->chunks_lost == 0 && totals->exits_damaged == 0;
  console.note(undamaged ? leftover_rings_text(reader) : kept_rings_text(reader));
  // Intact rings hold what a file that was never sealed lacks.
  const bool all_here = undamaged && health.open_end() == OpenEnd::kNone &&
                        health.behind != BehindEnd::kAnother && health.lost == 0;
  return all_here ? kDone : kIncomplete;
}

}  // namespace

void add_recover(CLI::App& app, Action& chosen) {
  CLI::App* verb =
      app.add_subcommand("recover", "saves every readable exit of a damaged or unsealed recording");
  verb->footer(
      "Where the recording itself is gone, name the directory of its rings instead, "
      "/dev/shm/kvmtape-UID/SESSION\nor below --ring-dir of its recorder; the link `trace` in it "
      "says of which recording they are.");
  auto command = std::make_shared<RecoverCommand>();
  command->input.add_to(*verb);
  verb->add_option("-o,--output", command->request.path, "the recording to write")
      ->required()
      ->check(recording_file())
      ->type_name("FILE");
  verb->add_flag("--force", command->request.force, "replace an existing file");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->input.apply(console);
      return run_recover(*command, console);
    };
  });
}

}  // namespace kvmtape
