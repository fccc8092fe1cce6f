// `kvmtape import`: what another program recorded becomes a trace.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <fstream>
#include <memory>

#include "analysis/recording_json.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/kernel_options.h"
#include "cli/option_values.h"
#include "cli/trace_options.h"
#include "recorder/import/raw_pages.h"
#include "recorder/import/raw_stream.h"
#include "recorder/trace_directory.h"
#include "schema/trace_format.h"

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

bool is_recording(const std::string& path) {
  std::array<char, sizeof kFileMagic> start{};
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  return file.is_open() && file.read(start.data(), start.size()) &&
         std::memcmp(start.data(), kFileMagic, start.size()) == 0;
}

void print_json(const ImportReport& report, const std::string& path, Console& console) {
  console.print(to_line({{"kvmtape_json", 1},
                         {"path", path},
                         {"totals",
                          {{"exits", report.exits},
                           {"lost", 0},
                           {"vcpus", report.vcpus},
                           {"bytes", report.trace_bytes}}}}));
}

int run_import(const ImportCommand& command, Console& console) {
  const bool is_pages = command.format == kRawPages;
  ImportOptions options = command.import;
  if (is_recording(options.input))
    return console.fail(options.input + ": is a recording already; kvmtape dump shows its exits");
  auto session = command.kernel.session(is_pages ? "" : kDefaultOfStreams, console);
  if (!session.ok()) return console.fail(session.error());
  options.session = *session;
  if (is_pages && session->page_bytes > kRawPageBytes)
    console.warn(
        fmt::format("--page-bytes {} is noted as the kernel's page size; the file is cut every {} "
                    "bytes all the same: of each kvm_run only its first {} belong in it",
                    session->page_bytes, kRawPageBytes, kRawPageBytes));
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
  if (command.output.json) print_json(*report, options.output, console);
  console.note(recorded_text(options.output, report->exits, report->vcpus, 0, report->trace_bytes));
  return report->bad_input ? kIncomplete : kDone;
}

}  // namespace

void add_import(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("import", "raw bytes of another program into a recording");
  auto command = std::make_shared<ImportCommand>();
  ImportOptions& import = command->import;
  command->output.add_to(*verb);
  verb->add_option("--format", command->format,
                   "raw-stream: both moments of every exit; raw-pages: kvm_run pages of 4096 bytes")
      ->required()
      ->check(one_of({"raw-stream", "raw-pages"}));
  verb->add_option("file", import.input, "the bytes, plain or zstd; - is standard input")
      ->required();
  verb->add_option("-o,--output", import.output,
                   "the recording to write; without it, a new one in the default directory")
      ->check(recording_file())
      ->type_name("FILE");
  verb->add_flag("--force", import.force, "replace an existing recording");
  command->kernel.add_to(*verb);
  verb->add_option(
      "--returns", command->returns,
      "raw-pages: a file of what KVM_RUN returned, 0 or a negated errno, a line a page");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run_import(*command, console);
    };
  });
}

}  // namespace kvmtape
