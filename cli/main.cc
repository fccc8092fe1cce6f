// kvmtape: wires the verbs together. What each does stands in its cmd_<verb>.cc.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/human.h"
#include "cli/suggest.h"
#include "cli/usage.h"
#include "recorder/record/record.h"

namespace kvmtape {
namespace {

constexpr char kAbout[] =
    "kvmtape records what the monitor of a KVM virtual machine sees, every return of KVM_RUN, and\n"
    "reads it back anywhere.\n\n"
    "Begin with:\n"
    "  kvmtape probe          record tiny guests on this machine's KVM\n"
    "  kvmtape info           what that recording is\n"
    "  kvmtape stat           which exits came how often, and what they cost\n"
    "  kvmtape dump --tail 20 the last exits, decoded\n"
    "  kvmtape explain        why the guest died, with evidence\n";
constexpr char kFooter[] =
    "\nA read verb without a recording takes the latest in "
    "${KVMTAPE_DIR:-$XDG_DATA_HOME/kvmtape}.\n"
    "Exit status: 0 done; 1 the answer is no (verify: damaged); 2 it failed; 3 done, but exits may "
    "be\n"
    "missing. `kvmtape VERB --help` says more.";

// A verb that does not exist would be reported as a stray argument.
int unknown_verb(const CLI::App& app, const std::string& word, Console& console) {
  const std::string near = nearest_name(word, verb_names(app));
  return console.fail(fmt::format(
      "there is no verb '{}'; {}", word,
      near.empty() ? "kvmtape --help lists them" : "did you mean: kvmtape " + near + "?"));
}

int wrong_command_line(const CLI::App& app, const CLI::ParseError& error, Console& console) {
  const auto parsed = app.get_subcommands();
  const int failed = console.fail(usage_text(app, error));
  // Whoever started a monitor through `record` takes 2 for the monitor's own.
  const bool is_record = !parsed.empty() && parsed.front()->get_name() == "record";
  return is_record ? kRecordFailed : failed;
}

int run(int argc, char** argv) {
  Console console;
  CLI::App app(kAbout, "kvmtape");
  app.footer(kFooter);
  app.set_version_flag("--version", "kvmtape " KVMTAPE_VERSION);
  app.require_subcommand(0, 1);
  Action chosen;
  add_probe(app, chosen);
  add_record(app, chosen);
  add_ctl(app, chosen);
  add_info(app, chosen);
  add_dump(app, chosen);
  add_stat(app, chosen);
  add_explain(app, chosen);
  add_diff(app, chosen);
  add_verify(app, chosen);
  add_recover(app, chosen);
  add_redact(app, chosen);
  add_decode(app, chosen);
  add_import(app, chosen);

  // `kvmtape help [VERB]`, as git has it.
  std::string asked = "--help";
  std::vector<char*> words(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    words.erase(words.begin() + 1);
    words.push_back(asked.data());
    argc = static_cast<int>(words.size());
    argv = words.data();
  }
  if (argc > 1 && argv[1][0] != '-') {
    const std::vector<std::string> names = verb_names(app);
    if (std::find(names.begin(), names.end(), argv[1]) == names.end())
      return unknown_verb(app, argv[1], console);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    console.print(app.help());  // or that of the verb that was given
    return console.finish(kDone);
  } catch (const CLI::CallForVersion& version) {
    console.print(std::string(version.what()) + "\n");
    return console.finish(kDone);
  } catch (const CLI::ParseError& error) {
    return wrong_command_line(app, error, console);
  }
  if (!chosen) {
    console.print(app.help());
    return console.finish(kFailed);
  }
  return console.finish(chosen(console));
}

}  // namespace
}  // namespace kvmtape

int main(int argc, char** argv) {
  // Where one of the standard descriptors is closed, no file of ours may come to stand in its
  // place.
  int spare;
  do spare = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  while (spare >= 0 && spare <= STDERR_FILENO);
  ::close(spare);
  // A closed pipe is found where it is written to (Console), and ends the command quietly.
  // Not ignored, which a recorded monitor would inherit; but what ignored it goes on to.
  if (std::signal(SIGPIPE, [](int) {}) == SIG_IGN) std::signal(SIGPIPE, SIG_IGN);
  try {
    return kvmtape::run(argc, argv);
  } catch (const std::exception& error) {  // a library's: memory exhausted
    kvmtape::say("kvmtape: " + kvmtape::printable(error.what()));
    return kvmtape::kFailed;
  }
}
