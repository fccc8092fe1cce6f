// `kvmtape import`: what another program recorded becomes a trace.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/human.h"
#include "cli/kernel_options.h"
#include "cli/option_values.h"
#include "cli/trace_options.h"
#include "recorder/import/raw_pages.h"
#include "recorder/import/raw_stream.h"
#include "recorder/trace_directory.h"

namespace kvmtape {
namespace {

constexpr std::string_view kRawPages = "raw-pages";
constexpr std::string_view kDefaultOfStreams = "x86_64";  // scripts rely on it

struct ImportCommand {
  OutputOptions output;
  std::string format;
  ImportOptions import;
  KernelOptions kernel;
  std::string returns;
};

int run_import(const ImportCommand& command, Console& console) {
  const bool is_pages = command.format == kRawPages;
  ImportOptions options = command.import;
  auto session = command.kernel.session(is_pages ? "" : kDefaultOfStreams, console);
  if (!session.ok()) return console.fail(session.error());
  options.session = *session;
  const bool in_default_directory = options.output.empty();
  if (in_default_directory) {
    auto path = new_trace_path("import");
    if (!path.ok()) return console.fail(path.error());
    options.output = *path;
  }
  auto report = is_pages ? import_raw_pages(options, command.returns) : import_raw_stream(options);
  if (!report.ok()) return console.fail(report.error());
  if (in_default_directory) update_latest(options.output);
  if (report->bad_input)
    console.warn(
        fmt::format("{}; everything before it was imported", report->bad_input->to_string()));
  console.note(recorded_text(options.output, report->exits, report->vcpus, 0, report->trace_bytes));
  return report->bad_input ? kIncomplete : kDone;
}

}  // namespace

void add_import(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("import", "raw bytes of another program into a recording");
  auto command = std::make_shared<ImportCommand>();
  OutputOptions& output = command->output;
  ImportOptions& import = command->import;
  verb->add_option("--format", command->format,
                   "raw-stream: both moments of every exit; raw-pages: kvm_run pages of 4096 bytes")
      ->required()
      ->check(one_of({"raw-stream", "raw-pages"}));
  verb->add_option("file", import.input, "the bytes, plain or zstd; - is standard input")
      ->required();
  verb->add_option("-o,--output", import.output,
                   "the recording to write; without it, a new one in the default directory");
  verb->add_flag("--force", import.force, "replace an existing recording");
  command->kernel.add_to(*verb);
  verb->add_option(
      "--returns", command->returns,
      "raw-pages: a file of what KVM_RUN returned, 0 or a negated errno, a line a page");
  verb->add_flag("-q,--quiet", output.quiet, "no warnings");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run_import(*command, console);
    };
  });
}

}  // namespace kvmtape
