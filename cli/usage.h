// What is wrong with a command line, in kvmtape's words: what, where and what to write instead.
// CLI11's own messages name types and ranges that nobody typed. Any thread; borrows nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace kvmtape {

std::vector<std::string> verb_names(const CLI::App& app);

// Of what app.parse() threw.
std::string usage_text(const CLI::App& app, const CLI::ParseError& error);

}  // namespace kvmtape
