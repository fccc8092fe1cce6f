// `kvmtape redact`: a recording without the guest's data, and with a header that says so.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/option_values.h"
#include "cli/trace_options.h"
#include "replayer/rewrite/redactor.h"
#include "replayer/rewrite/trace_rewriter.h"

namespace kvmtape {
namespace {

struct RedactCommand {
  TraceOptions input;
  RewriteRequest request;
  std::string profile;
};

int run_redact(RedactCommand& command, Console& console) {
  const auto profile = parse_redaction(command.profile);
  if (!profile)
    return console.fail("--profile: there is no '" + command.profile +
                        "'; write payload, regs or strict");
  auto opened = command.input.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  const int status = report_health(reader, console);
  Redactor redactor(decode_context_of(reader.session()), *profile);
  RewriteRequest& request = command.request;
  request.editor = &redactor;
  request.note = "kvmtape " KVMTAPE_VERSION " redact --profile " + command.profile;
  const auto totals = rewrite_trace(reader, request);
  if (!totals.ok()) return console.fail(totals.error());
  const uint64_t lost = totals->exits_damaged + totals->exits_lost_before;
  if (command.input.json)
    console.print(to_line({{"kvmtape_json", 1},
                           {"path", request.path},
                           {"profile", command.profile},
                           {"totals",
                            {{"exits", totals->exits()},
                             {"lost", lost},
                             {"vcpus", reader.vcpus().size()},
                             {"bytes", totals->bytes_written}}}}));
  console.note(recorded_text(request.path, totals->exits(), reader.vcpus().size(), lost,
                             totals->bytes_written));
  return worse_of(status, totals->chunks_lost != 0 ? kIncomplete : kDone);
}

}  // namespace

void add_redact(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("redact", "a copy of a recording without the guest's data");
  auto command = std::make_shared<RedactCommand>();
  command->input.add_to(*verb);
  verb->add_option("--profile", command->profile,
                   "payload: values in transit and guest memory; regs: registers as well; strict: "
                   "all but reasons, flags, sizes, addresses and times")
      ->required()
      ->check(one_of({"payload", "regs", "strict"}));
  verb->add_option("-o,--output", command->request.path, "the recording to write")
      ->required()
      ->check(recording_file())
      ->type_name("FILE");
  verb->add_flag("--force", command->request.force, "replace an existing file");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->input.apply(console);
      return run_redact(*command, console);
    };
  });
}

}  // namespace kvmtape
