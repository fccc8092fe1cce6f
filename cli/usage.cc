#include "cli/usage.h"

#include <fmt/format.h>

#include <string_view>

#include "cli/suggest.h"
#include "schema/base/shell_word.h"

namespace kvmtape {
namespace {

// `text` up to `mark`; all of it without one.
std::string until(const std::string& text, std::string_view mark) {
  return text.substr(0, text.find(mark));
}

std::string about(const CLI::App& verb, const std::string& name) {
  const CLI::Option* option = verb.get_option_no_throw(name);
  return option == nullptr || option->get_description().empty() ? ""
                                                                : ": " + option->get_description();
}

std::vector<std::string> option_names(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string unknown_option(const CLI::App& verb, const std::string& typed) {
  std::string word = until(typed, "=");
  const bool is_short = word.size() == 2;
  std::string text = fmt::format("there is no option '{}'", word);
  if (!word.starts_with("--")) word.insert(0, "-");
  const std::string near = is_short ? "" : nearest_name(word, option_names(verb));
  if (!near.empty()) return fmt::format("{}; did you mean {}?", text, near);
  if (verb.get_name() == "record")
    text += ": a monitor's own stand behind --, as in kvmtape record -- qemu-system-x86_64 -m 1G";
  return text;
}

// Words that nobody asked for.
std::string stray_text(const CLI::App& app, const CLI::App& verb) {
  const auto is_option = [](const std::string& word) {
    return word.size() > 1 && word[0] == '-' && word != "--";
  };
  for (const std::string& word : app.remaining())
    if (&app != &verb && is_option(word))
      return fmt::format("'{}' stands before the verb: write kvmtape {} {}", word, verb.get_name(),
                         shell_word(word));
  const std::vector<std::string> words = verb.remaining();
  for (const std::string& word : words)
    if (is_option(word)) return unknown_option(verb, word);
  return words.empty() ? "there is a word too many"
                       : fmt::format("'{}' is a word too many", words.front());
}

std::string text_of(const CLI::App& app, const CLI::App& verb, const CLI::ParseError& error) {
  const std::string said = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return stray_text(app, verb);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    const std::string name = until(said, " is required");
    return fmt::format("{} is missing{}", name, about(verb, name));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string name = until(said, ":");
    if (said.find("At Most") != std::string::npos)
      return fmt::format("{} may be given only once", name);
    return fmt::format("{} needs a value{}", name, about(verb, name));
  }
  constexpr std::string_view kCouldNot = "Could not convert: ";
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr && said.starts_with(kCouldNot)) {
    const std::string rest = said.substr(kCouldNot.size());
    const std::string name = until(rest, " = ");
    const std::string value = rest.size() > name.size() + 3 ? rest.substr(name.size() + 3) : "";
    const CLI::Option* option = verb.get_option_no_throw(name);
    if (option != nullptr && option->get_expected_max() == 0)
      return fmt::format("{} takes no value, not '{}'", name, value);
    return fmt::format("{}: '{}' is no number that fits{}", name, value, about(verb, name));
  }
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr)
    return fmt::format("{} goes only with {}", until(said, " requires "),
                       said.substr(said.rfind(' ') + 1));
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr)
    return fmt::format("{} does not go with {}: write one of them", until(said, " excludes "),
                       said.substr(said.rfind(' ') + 1));
  return said;
}

}  // namespace

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

std::string usage_text(const CLI::App& app, const CLI::ParseError& error) {
  const auto parsed = app.get_subcommands();
  const CLI::App& verb = parsed.empty() ? app : *parsed.front();
  const std::string text = text_of(app, verb, error);
  if (text.ends_with('?')) return text;  // what to write instead stands there
  return fmt::format("{}; see kvmtape{} --help", text, parsed.empty() ? "" : " " + verb.get_name());
}

}  // namespace kvmtape
