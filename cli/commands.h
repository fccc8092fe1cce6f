// The verbs. Each add_<verb>() declares its options and, once they are parsed, leaves what is to be
// done in `chosen`; main() runs it. One file a verb: cmd_<verb>.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/console.h"

namespace kvmtape {

// Returns an ExitStatus.
using Action = std::function<int(Console&)>;

void add_probe(CLI::App& app, Action& chosen);
void add_record(CLI::App& app, Action& chosen);
void add_ctl(CLI::App& app, Action& chosen);
void add_info(CLI::App& app, Action& chosen);
void add_dump(CLI::App& app, Action& chosen);
void add_explain(CLI::App& app, Action& chosen);
void add_stat(CLI::App& app, Action& chosen);
void add_diff(CLI::App& app, Action& chosen);
void add_verify(CLI::App& app, Action& chosen);
void add_recover(CLI::App& app, Action& chosen);
void add_redact(CLI::App& app, Action& chosen);
void add_decode(CLI::App& app, Action& chosen);
void add_import(CLI::App& app, Action& chosen);

}  // namespace kvmtape
