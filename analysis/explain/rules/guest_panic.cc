// The guest said on its console that it died: a kernel panic, an oops, a stop screen. Whatever exit
// follows (a reset, a triple fault that is one, a halt) is only how it ended.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"

namespace kvmtape {
namespace {

struct Phrase {
  std::string_view text;
  double confidence;
  std::string_view meaning;
};
// Linux kernel/panic.c, mm/fault and lib/bug.c print these; the others by the names of their
// kernels.
constexpr Phrase kPhrases[] = {
    {"Kernel panic - not syncing", 0.95, "Linux panicked"},
    {"panic: ", 0.8, "a BSD kernel panicked"},
    {"Oops: ", 0.75, "Linux met an oops"},
    {"Unable to handle kernel ", 0.8, "Linux met an oops"},
    {"Internal error: ", 0.7, "Linux met an oops"},
    {"kernel BUG at ", 0.85, "Linux met a BUG()"},
    {"BUG: unable to handle ", 0.8, "Linux met an oops"},
    {"double fault: ", 0.8, "Linux met a double fault"},
    {"PANIC: early exception", 0.9, "Linux died before its console was up"},
    {"!!!! X64 Exception Type", 0.9, "the UEFI firmware met an exception"},
    {"Guru Meditation", 0.6, "the guest reported its death"},
};

std::string line_at(const std::string& text, size_t at) {
  const size_t begin = text.rfind('\n', at);
  const size_t from = begin == std::string::npos ? 0 : begin + 1;
  const size_t end = text.find('\n', at);
  constexpr size_t kShown = 160;
  return text.substr(from,
                     std::min(end == std::string::npos ? text.size() - from : end - from, kShown));
}

class GuestPanic : public Rule {
 public:
  std::string_view id() const override { return "guest-panic"; }
  std::string_view about() const override {
    return "the guest wrote to its console that its kernel died";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    const auto consoles = all.console.all();
    const Phrase* found = nullptr;
    const ConsoleText::Console* on = nullptr;
    size_t at = 0;
    for (const ConsoleText::Console& console : consoles)
      for (const Phrase& phrase : kPhrases) {
        const size_t here = console.tail.rfind(phrase.text);
        if (here == std::string::npos || (found && found->confidence >= phrase.confidence))
          continue;
        found = &phrase;
        on = &console;
        at = here;
      }
    if (found == nullptr) return;
    Finding finding;
    finding.title = fmt::format("{}: \"{}\"", found->meaning, line_at(on->tail, at));
    finding.confidence = found->confidence;
    finding.evidence.push_back(on->place_of(at));
    if (all.crash != nullptr) {
      finding.evidence.push_back(all.crash->exit.place);
      finding.details.push_back(
          fmt::format("{} is how it ended, not why", to_string(all.crash->exit.place)));
    }
    finding.next =
        "read the console's last lines below; with --vmlinux or --system-map addresses "
        "get names";
    finding.change = "Linux kernel/panic.c; what follows a panic is set by panic= and reboot=";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_guest_panic_rule() { return std::make_unique<GuestPanic>(); }

}  // namespace kvmtape
