// The verbs that record, in a tool that was built to read only: they say so.
#include <string>

#include "cli/commands.h"
#include "recorder/record/record.h"

namespace kvmtape {
namespace {

void add_verb(CLI::App& app, Action& chosen, const std::string& name, int status) {
  CLI::App* verb = app.add_subcommand(name, "not in this build, which reads only");
  verb->allow_extras();
  verb->callback([&chosen, name, status] {
    chosen = [name, status](Console& console) {
      console.fail(name +
                   ": this kvmtape was built to read only; it records on x86_64 and aarch64");
      return status;
    };
  });
}

}  // namespace

void add_probe(CLI::App& app, Action& chosen) { add_verb(app, chosen, "probe", kFailed); }
void add_record(CLI::App& app, Action& chosen) { add_verb(app, chosen, "record", kRecordFailed); }
void add_ctl(CLI::App& app, Action& chosen) { add_verb(app, chosen, "ctl", kFailed); }

}  // namespace kvmtape
