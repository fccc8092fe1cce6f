// `kvmtape import`: what another program recorded becomes a trace.
#include <fmt/format.h>

#include <memory>

#include "analysis/session_context.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/selection.h"
#include "cli/trace_options.h"
#include "recorder/import/raw_stream.h"
#include "recorder/trace_directory.h"

namespace kvmtape {
namespace {

struct ImportCommand {
  OutputOptions output;
  std::string format;
  ImportOptions import;
  std::string architecture = "x86_64";
  std::vector<std::string> capabilities;
};

Result<Session> session_of(const ImportCommand& command) {
  Session session = command.import.session;
  for (const Architecture architecture :
       {Architecture::kX86_64, Architecture::kI386, Architecture::kAarch64, Architecture::kRiscv64,
        Architecture::kS390x, Architecture::kPpc64, Architecture::kLoongarch64,
        Architecture::kMips64})
    if (architecture_name(architecture) == command.architecture)
      session.architecture = architecture;
  for (const std::string& text : command.capabilities) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
      return Error{ErrorCode::kUsage, fmt::format("--cap {}: write NR=VALUE", text), {}, {}};
    KVMTAPE_TRY_ASSIGN(const uint64_t number, parse_number(text.substr(0, equals)));
    KVMTAPE_TRY_ASSIGN(const uint64_t value, parse_number(text.substr(equals + 1)));
    session.capabilities.push_back(
        {static_cast<uint32_t>(number), static_cast<int32_t>(value), false});
  }
  return session;
}

int run_import(const ImportCommand& command, Console& console) {
  ImportOptions options = command.import;
  auto session = session_of(command);
  if (!session.ok()) return console.fail(session.error());
  options.session = *session;
  const bool in_default_directory = options.output.empty();
  if (in_default_directory) {
    auto path = new_trace_path("import");
    if (!path.ok()) return console.fail(path.error());
    options.output = *path;
  }
  auto report = import_raw_stream(options);
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
  verb->add_option("--format", command->format, "raw-stream: both moments of every exit")
      ->required()
      ->check(CLI::IsMember({"raw-stream"}));
  verb->add_option("file", import.input, "the stream, plain or zstd; - is standard input")
      ->required();
  verb->add_option("-o,--output", import.output,
                   "the recording to write; without it, a new one in the default directory");
  verb->add_flag("--force", import.force, "replace an existing recording");
  verb->add_option("--arch", command->architecture, "of the kernel that wrote the bytes (x86_64)")
      ->check(CLI::IsMember(
          {"x86_64", "i386", "aarch64", "riscv64", "s390x", "ppc64", "loongarch64", "mips64"}));
  verb->add_flag_callback(
      "--big-endian", [&import] { import.session.byte_order = ByteOrder::kBig; },
      "its byte order is big");
  verb->add_option("--kernel", import.session.kernel_release, "its release, as uname -r says it");
  verb->add_option("--page-bytes", import.session.page_bytes, "its page size");
  verb->add_option("--cap", command->capabilities,
                   "what it answered to KVM_CHECK_EXTENSION, NR=VALUE; repeatable")
      ->allow_extra_args(false);
  verb->add_flag("-q,--quiet", output.quiet, "no warnings");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run_import(*command, console);
    };
  });
}

}  // namespace kvmtape
