// `kvmtape verify`: reads every chunk and says whether it is what was written.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

int run_verify(const TraceOptions& options, Console& console) {
  auto opened = options.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  reader.verify();
  const TraceHealth& health = reader.health();
  if (options.json) {
    nlohmann::ordered_json document = {{"kvmtape_json", 1},
                                       {"chunks", reader.chunk_count()},
                                       {"damaged", health.damaged_chunks},
                                       {"exits", reader.exits()},
                                       {"lost", reader.lost()}};
    document["storage"] = storage_json(reader);
    console.print(to_line(document));
  } else {
    console.print(fmt::format("{}: {}, {} damaged{}, {}, {} lost, {}\n", printable(reader.path()),
                              counted(reader.chunk_count(), "chunk"),
                              count_text(health.damaged_chunks), redundant_text(health),
                              counted(reader.exits(), "exit"), count_text(reader.lost()),
                              end_text(health)));
    std::vector<Error> problems = health.problems;  // found by kind of chunk
    std::ranges::stable_sort(problems, {},
                             [](const Error& problem) { return problem.byte_offset.value_or(0); });
    for (const Error& problem : problems) console.print(printable(problem.to_string()) + "\n");
  }
  const int status = report_health(reader, console);
  return worse_of(status, health.damaged_chunks != 0 ? kAnswerIsNo : kDone);
}

}  // namespace

void add_verify(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("verify", "checks every chunk of a recording");
  auto options = std::make_shared<TraceOptions>();
  options->add_to(*verb);
  verb->callback([options, &chosen] {
    chosen = [options](Console& console) {
      options->apply(console);
      return run_verify(*options, console);
    };
  });
}

}  // namespace kvmtape
