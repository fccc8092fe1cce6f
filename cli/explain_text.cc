#include "cli/explain_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "analysis/exit_label.h"
#include "analysis/explain/history.h"
#include "analysis/explain/named_addresses.h"
#include "analysis/explain/rules.h"
#include "analysis/explain/x86_state.h"
#include "cli/human.h"
#include "cli/register_text.h"
#include "replayer/flag_bits.h"
#include "replayer/internal_data.h"

namespace kvmtape {
namespace {

class Report {
 public:
  Report(const Explanation& explanation, const ExplainTextOptions& options, Console& console)
      : explanation_(explanation), all_(*explanation.all), options_(options), console_(console) {}

  void print() {
    headline();
    if (all_.crash != nullptr) what();
    why();
    led_there();
    console_text();
    notes();
  }

 private:
  void line(const std::string& text) {
    std::string shown = printable(text);
    shown.erase(shown.find_last_not_of(' ') + 1);
    console_.print(fmt::format("{}\n", shown));
  }
  void heading(std::string_view text) {
    console_.print(fmt::format("\n{}\n", console_.painted(text, "1")));
  }
  std::string when(int64_t ns) const {
    return all_.reader.session().clock_name == kNoClock ? "-" : seconds_text(ns);
  }

  void headline() {
    // Health cannot be told from what is not there: such a report is not green.
    const bool is_all_here = all_.exits != 0 && all_.lost == 0 && all_.uncounted_losses().empty();
    const std::string_view color = !explanation_.causes.empty() ? "31" : is_all_here ? "32" : "33";
    const std::string text = fmt::format("{}: {}", all_.reader.path(), verdict());
    console_.print(console_.painted(printable(text), color) + "\n");
    const Session& session = all_.reader.session();
    line(fmt::format(
        "{} of {} on {}: {}, {} lost{}", counted(all_.vcpus.size(), "vCPU"),
        session.monitor_name.empty() ? "a monitor" : session.monitor_name,
        session.kernel_release.empty() ? "an unknown kernel" : "Linux " + session.kernel_release,
        counted(all_.exits, "exit"), count_text(all_.lost),
        all_.uncounted_losses().empty() ? "" : ", more may be missing"));
  }

  std::string verdict() const {
    if (!explanation_.causes.empty()) return explanation_.causes.front().title;
    if (all_.exits == 0)
      return all_.reader.exits() == 0 ? "cannot know: it holds no exit that can be read"
                                      : "cannot know: no exit is selected";
    const auto first_note = [&](bool of_losses) -> const Finding* {
      for (const Finding& note : explanation_.notes)
        if ((note.rule == kLostExitsRule) == of_losses) return &note;
      return nullptr;
    };
    const Finding* said = first_note(false);
    std::string text = "nothing that a guest dies of was found";
    if (said == nullptr && all_.crash != nullptr)
      text = unexplained_crash();
    else if (said != nullptr && said->confidence >= 0.6)
      text = said->title;
    else if (said != nullptr)
      text += fmt::format("; noted: {}", said->title);
    if (const Finding* losses = first_note(true); losses != nullptr)
      text += fmt::format("; noted: {}", losses->title);
    return text;
  }

  // A crash exit that no rule has anything to say of, and that may not have been the end.
  std::string unexplained_crash() const {
    const CrashExit& crash = *all_.crash;
    const int32_t ret = all_.decoded_crash.moment.ret;
    const std::string what = ret < 0
                                 ? fmt::format("KVM_RUN failed with {}", errno_name(errno_of(ret)))
                                 : name_of(all_.decoded_crash);
    if (crash.exits_behind != 0)
      return fmt::format("{} at {}, and the vCPU went on; nothing that a guest dies of was found",
                         what, to_string(crash.exit.place));
    return fmt::format("ended with {} at {}; no rule knows why", what, to_string(crash.exit.place));
  }

  void what() {
    heading("What");
    const CrashExit& crash = *all_.crash;
    line(fmt::format("  {}  {}  {}", to_string(crash.exit.place), when(crash.exit.time_ns),
                     all_.text_of(crash.exit)));
    if (crash.again != 0) line(fmt::format("  and {} at once", counted(crash.again, "more time")));
    if (crash.exits_behind != 0)
      line(fmt::format("  the vCPU went on: {} behind it", counted(crash.exits_behind, "exit")));
    for (const Field& field : all_.decoded_crash.exit.all_fields())
      if (field.name.find('.') != std::string_view::npos) print_field(field);
    instruction();
    for (const MemorySlice& slice : crash.memory) {
      const auto of = static_cast<MemorySliceOf>(slice.record.of);
      if (of == MemorySliceOf::kBelowStack && wraps(slice)) continue;
      const bool at_pointer = of == MemorySliceOf::kInstruction || of == MemorySliceOf::kStack;
      if (at_pointer || options_.verbose)
        line(fmt::format("  memory {}", memory_slice_text(all_.context, slice)));
    }
    registers();
    names();
    if (!all_.other_crashes.empty()) {
      std::string text = "  other crashes (explain one: --vcpu and --seq):";
      for (const Place& place : all_.other_crashes) text += fmt::format(" {}", to_string(place));
      line(text);
    }
  }

  // Older recordings hold what lies in front of a 16-bit stack, too.
  bool wraps(const MemorySlice& below_stack) const {
    const auto rsp = all_.at_crash.get("rsp");
    return rsp && x86_stack_is_16_bit(all_.at_crash) && (*rsp & 0xffff) < below_stack.bytes.size();
  }

  void print_field(const Field& field) {
    if (field.validity != Validity::kValid && field.element > 0) return;
    std::string name = field.element < 0 ? std::string(field.name)
                                         : fmt::format("{}[{}]", field.name, field.element);
    std::string meaning = field.value_name.empty()
                              ? flag_bits_text(all_.context.architecture, field)
                              : std::string(field.value_name);
    if (field.name == "internal.data" && field.validity == Validity::kValid) {
      const InternalWord word = internal_word(all_.context, all_.decoded_crash.exit, field);
      // Flags and instruction of an emulation failure have fields of their own.
      if (word.slot.empty() && all_.crash_field("emulation_failure.flags") && !options_.verbose)
        return;
      if (!word.slot.empty()) name += fmt::format(" {}", word.slot);
      meaning = word.meaning;
    }
    if (field.validity != Validity::kValid) {
      if (options_.verbose)
        line(fmt::format("    {:<32} {}: {}", name, to_string(field.validity), field.why));
      return;
    }
    if (field.kind == FieldKind::kBytes) {
      std::string bytes;
      for (const uint8_t byte : raw_bytes(field, all_.decoded_crash.moment))
        fmt::format_to(std::back_inserter(bytes), "{:02x} ", byte);
      return line(fmt::format("    {:<32} {}", name, bytes));
    }
    line(fmt::format("    {:<32} {:#x} {}", name, field.value, meaning));
  }

  void instruction() {
    const auto bytes = valid_bytes(all_.decoded_crash.exit, all_.decoded_crash.moment,
                                   "emulation_failure.insn_bytes");
    if (bytes.empty()) return;
    const auto instruction =
        x86_instruction(bytes, all_.at_crash.get_or("rip", 0), x86_code_bits(all_.at_crash));
    if (instruction) line(fmt::format("  instruction: {}", instruction->text));
  }

  void names() {
    if (options_.symbols == nullptr) return;
    if (!options_.symbols_moved.empty()) line(fmt::format("  {}", options_.symbols_moved));
    for (const NamedAddress& named : named_addresses(all_, *options_.symbols))
      line(fmt::format("  {:<12} {:#x} {}{}{}", named.what, named.address, named.name,
                       named.what.starts_with("stack") ? " ?" : "",
                       named.source.empty() ? "" : fmt::format("  ({})", named.source)));
  }

  void registers() {
    if (all_.at_crash.empty()) {
      line(fmt::format("  registers: cannot know: {}", all_.no_registers));
      if (all_.before_crash.empty()) return;
      line(fmt::format("  registers before ({}):", all_.before_crash.origin_text()));
      return print_registers(all_.before_crash);
    }
    line(fmt::format("  registers ({}):", all_.at_crash.origin_text()));
    print_registers(all_.at_crash);
  }

  void print_registers(const Registers& registers) {
    for (const std::string& text : register_lines(all_, registers, options_.verbose)) line(text);
  }

  void why() {
    if (explanation_.causes.empty()) return;
    heading("Why");
    size_t number = 0;
    for (const Finding& finding : explanation_.causes) {
      ++number;
      console_.print(
          fmt::format("  {}. {}\n", number,
                      console_.painted(
                          printable(fmt::format("{} [{}, {}]", finding.title,
                                                confidence_word(finding.confidence), finding.rule)),
                          number == 1 ? "1" : "")));
      if (number > options_.causes && !options_.verbose) continue;
      print_rest(finding);
    }
  }

  void print_rest(const Finding& finding) {
    std::string evidence;
    for (const Place& place : finding.evidence) evidence += fmt::format(" {}", to_string(place));
    if (!evidence.empty()) line(fmt::format("     evidence:{}", evidence));
    print_evidence_elsewhere(finding);
    for (const std::string& detail : finding.details) line(fmt::format("     - {}", detail));
    if (!finding.next.empty()) line(fmt::format("     check: {}", finding.next));
    if (!finding.change.empty())
      line(fmt::format("     see: {}{}", finding.change,
                       finding.kernel_change.empty()
                           ? ""
                           : fmt::format(" [kernel change {}]", finding.kernel_change)));
  }

  // What the history does not show: exits of other vCPUs, of long before, behind the crash.
  void print_evidence_elsewhere(const Finding& finding) {
    for (const Place& place : finding.evidence) {
      const bool is_crash = all_.crash != nullptr && all_.crash->exit.place == place;
      if (is_crash || is_in(history_, place)) continue;
      if (const auto found = exit_at(all_, place))
        line(fmt::format("       {}  {}  {}", to_string(place), when(found->time_ns),
                         all_.text_of(*found->bytes)));
    }
  }

  void led_there() {
    const std::vector<HistoryLine>& lines = history_;
    if (lines.empty()) return;
    heading(all_.crash != nullptr ? "What led there" : "What came last");
    for (const HistoryLine& at : lines) {
      const std::string place = at.exit != nullptr ? to_string(at.exit->place) : "-";
      if (at.exit != nullptr && at.exit->lost_before != 0)
        line(fmt::format("  {:<10} {:>14}  {:<24} {} lost: {}", "", "", "gap",
                         counted(at.exit->lost_before, "exit"), to_string(at.exit->lost_why)));
      std::string text = fmt::format("  {:<10} {:>14}  {:<24} {}", place, when(at.time_ns),
                                     name_text(all_, at), body_text(all_, at));
      text = printable(text);
      text.erase(text.find_last_not_of(' ') + 1);
      console_.print(console_.painted(text, at.is_crash ? "31" : "") + "\n");
    }
  }

  void console_text() {
    for (const ConsoleText::Console& console : all_.console.all()) {
      heading(fmt::format("What the guest wrote to {}", console.where));
      print_last_lines(console.tail);
    }
  }

  // A guest that never ends its line: both ends tell most.
  static std::string cut_line(const std::string& text) {
    constexpr size_t kShown = 400, kAtEnd = 160;
    if (text.size() <= kShown) return text;
    return fmt::format("{} [{}] {}", text.substr(0, kShown - kAtEnd),
                       counted(text.size() - kShown, "more character"),
                       text.substr(text.size() - kAtEnd));
  }

  void print_last_lines(std::string text) {
    constexpr size_t kLines = 10;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    size_t from = text.size();
    for (size_t lines = 0; lines < kLines && from != std::string::npos && from != 0; ++lines)
      from = text.rfind('\n', from - 1);
    from = from == std::string::npos ? 0 : from + (text[from] == '\n' ? 1 : 0);
    while (from < text.size()) {
      const size_t end = std::min(text.find('\n', from), text.size());
      line(fmt::format("  | {}", cut_line(text.substr(from, end - from))));
      from = end + 1;
    }
  }

  void notes() {
    if (explanation_.notes.empty()) return;
    heading("Notes");
    for (const Finding& finding : explanation_.notes) {
      line(fmt::format("  {} [{}]", finding.title, finding.rule));
      print_rest(finding);
    }
  }

  const Explanation& explanation_;
  const Case& all_;
  const ExplainTextOptions& options_;
  Console& console_;
  const std::vector<HistoryLine> history_ = history_of(all_, options_.history_lines);
};

}  // namespace

void print_explanation(const Explanation& explanation, const ExplainTextOptions& options,
                       Console& console) {
  Report(explanation, options, console).print();
}

}  // namespace kvmtape
