#include "cli/diff_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "analysis/session_context.h"
#include "cli/human.h"

namespace kvmtape {
namespace {

constexpr size_t kSessionLinesMax = 12;
constexpr size_t kFieldsShown = 24;  // of one exit
constexpr size_t kShortReason = 40;  // of why a field is not valid; a longer one is shown with -v
// Deeper than where a row says what kind it is: it is no row of its own.
constexpr std::string_view kOfRowAbove = "               ";
constexpr size_t kBytesShown = 32;  // of a field, in hex digits: the rest is dots

std::string ids_text(const std::vector<KernelDifferences::Difference>& explanations) {
  std::string text;
  for (const auto& explanation : explanations)
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", explanation.change->id,
                        explanation.certain() ? "" : "?");
  return text;
}

// "since 5.18", "5.12 to 6.6".
std::string releases_text(const KernelChange& change) {
  const auto text = [](abi::Release release) {
    return fmt::format("{}.{}", abi::major_of(release), abi::minor_of(release));
  };
  if (change.since == 0) return fmt::format("until {}", text(change.until));
  if (change.until == 0) return fmt::format("since {}", text(change.since));
  return fmt::format("{} to {}", text(change.since), text(change.until));
}

std::string side_text(const FieldSide& side, bool with_why) {
  if (side.validity != Validity::kValid) {
    if (!side.present && !side.why.empty()) return side.why;
    const bool says_why = !side.why.empty() && (with_why || side.why.size() <= kShortReason);
    return fmt::format("{}{}", to_string(side.validity),
                       says_why ? fmt::format(" ({})", side.why) : "");
  }
  std::string text = side.text.empty() ? "(empty)" : side.text;
  if (text.size() > kBytesShown) text = fmt::format("{}...", text.substr(0, kBytesShown));
  return side.value_name.empty() ? text : fmt::format("{} {}", text, side.value_name);
}

std::string place(uint32_t vcpu, uint64_t seq) { return fmt::format("{}:{}", vcpu, seq); }

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// Of two long lists, such as a processor's features, the words that only one of them has.
std::string text_of_session(const SessionChange& change) {
  constexpr size_t kLongList = 8;
  const std::vector<std::string> a = words_of(change.a), b = words_of(change.b);
  const auto only_in = [](char letter, const auto& words, const auto& others) {
    std::vector<std::string> only;
    std::ranges::copy_if(words, std::back_inserter(only), [&](const std::string& word) {
      return std::ranges::find(others, word) == others.end();
    });
    return only.empty() ? std::string()
                        : fmt::format("only in {}: {}", letter, fmt::join(only, " "));
  };
  if (std::min(a.size(), b.size()) >= kLongList && change.name.starts_with("cpu ")) {
    const std::string in_a = only_in('A', a, b), in_b = only_in('B', b, a);
    return in_a.empty() && in_b.empty() ? "the same in another order"
                                        : in_a + (in_a.empty() || in_b.empty() ? "" : "; ") + in_b;
  }
  const auto text = [](const std::string& side) { return side.empty() ? "not known" : side; };
  return fmt::format("{} -> {}", text(change.a), text(change.b));
}

class DiffText {
 public:
  DiffText(const DiffTextOptions& options, Console& console)
      : options_(options), console_(console) {}

  void print_recording(char letter, const TraceReader& reader, uint64_t compared,
                       uint64_t left_out) {
    const Session& session = reader.session();
    line(fmt::format(
        "{}  {}: {}, kernel {}, {}, {} compared{}", letter, reader.path(),
        architecture_name(session.architecture),
        session.kernel_release.empty() ? "unknown" : session.kernel_release,
        counted(session.vcpus.size(), "vCPU"), counted(compared, "exit"),
        left_out == 0 ? "" : fmt::format(", {} left out by rules", count_text(left_out))));
  }

  void print_session(const std::vector<SessionChange>& changes) {
    if (changes.empty()) return;
    heading("session");
    size_t shown = 0;
    for (const SessionChange& change : changes) {
      if (!options_.verbose && shown == kSessionLinesMax) break;
      ++shown;
      line(fmt::format("  {:<32} {}", change.name, text_of_session(change)));
    }
    if (shown < changes.size())
      line(fmt::format("  {}; -v shows them", counted(changes.size() - shown, "more difference")));
  }

  void print_divergence(const char* title, const std::optional<Divergence>& divergence) {
    if (!divergence) return;
    const ExitChange& change = divergence->change;
    const std::string guest = change.guest.empty() ? "" : fmt::format(" ({})", change.guest);
    heading(fmt::format("{}: vCPU {}{}, {}", title, change.vcpu, guest, text_of_kind(change)));
    print_context('A', change.vcpu, divergence->context_a, change.a);
    print_context('B', change.vcpu, divergence->context_b, change.b);
    print_fields(change);
  }

  void print_groups(const char* title, const Diff& diff, bool explained) {
    told_registers_.clear();
    size_t shown = 0, hidden = 0;
    for (const ChangeGroup& group : diff.groups) {
      if (group.first.explained() != explained) continue;
      if (shown == 0) heading(title);
      if (options_.groups_max != 0 && shown == options_.groups_max)
        ++hidden;
      else
        ++shown, print_group(group);
    }
    if (hidden != 0) line(fmt::format("  {}; --top 0 shows all", counted(hidden, "more kind")));
  }

  void print_kernel_changes(const Diff& diff) {
    if (diff.kernel_differences.empty()) return;
    heading("what explains them");
    for (const auto& difference : diff.kernel_differences) {
      const KernelChange& change = *difference.change;
      line(fmt::format(
          "  {}{} ({}{}): {}", change.id, difference.certain() ? "" : "?", releases_text(change),
          change.commit.empty() ? "" : fmt::format(", {}", change.commit), change.what));
      if (!change.doubt.empty()) line(fmt::format("    not confirmed: {}", change.doubt));
    }
  }

  void print_losses(const Diff& diff) {
    if (diff.losses.empty()) return;
    heading("lost: exits of one recording that the other has not kept; these are no differences");
    size_t shown = 0;
    for (const auto& [vcpu, in_b, loss] : diff.losses) {
      if (options_.groups_max != 0 && shown == options_.groups_max) break;
      ++shown;
      const std::string what =
          loss.is_open_end() ? std::string(loss.why)
                             : fmt::format("gap: {}, {}", loss.why, counted(loss.lost, "exit"));
      line(fmt::format("  {:>6} x lost in {} ({})  {} {} to {}", count_text(loss.accounted),
                       in_b ? 'B' : 'A', what, in_b ? 'A' : 'B', place(vcpu, loss.other_first),
                       place(vcpu, loss.other_last)));
    }
    if (shown < diff.losses.size())
      line(fmt::format("  {}; --top 0 shows all", counted(diff.losses.size() - shown, "more gap")));
  }

  // Only where something is left that they may be behind.
  void print_seen_by_guest(const Diff& diff) {
    if (diff.seen_by_guest.empty() || diff.totals.unexplained() == 0) return;
    heading("what these kernels show a guest otherwise: what it did or wrote may come of that");
    for (const auto& difference : diff.seen_by_guest)
      line(fmt::format("  {}{}: {}", difference.change->id, difference.certain() ? "" : "?",
                       difference.change->what));
  }

  // What chance may have done is left to --json.
  void print_times(const std::vector<Distribution>& distributions) {
    bool begun = false;
    const auto print = [&](const std::string& exit, const char* whose, const Histogram& a,
                           const Histogram& b, const TimeComparison& times) {
      if (!times.differs) return;
      if (!begun)
        heading(fmt::format(
            "times (median, 99 % in A -> in B; medians at least {:.0f} % and {} apart; effect from "
            "-1 to 1, above 0: B slower)",
            options_.noise.percent, duration_text(options_.noise.ns)));
      begun = true;
      line(fmt::format("  {:<24}  {:<7}  {:>9} -> {:<9}  {:>9} -> {:<9}  effect {:+.2f}", exit,
                       whose, duration_text(a.quantile(0.5)), duration_text(b.quantile(0.5)),
                       duration_text(a.quantile(0.99)), duration_text(b.quantile(0.99)),
                       times.effect));
    };
    for (const Distribution& each : distributions) {
      print(each.exit, "guest", each.a.guest_ns, each.b.guest_ns, each.guest);
      print(each.exit, "monitor", each.a.monitor_ns, each.b.monitor_ns, each.monitor);
    }
  }

  void print_totals(const DiffTotals& totals) {
    std::string text = fmt::format("{} the same, {} changed, {} only in A, {} only in B",
                                   count_text(totals.same), count_text(totals.changed),
                                   count_text(totals.missing), count_text(totals.extra));
    if (totals.differences() != 0)
      text += fmt::format("; {} explained by known kernel changes, {} not",
                          count_text(totals.explained), count_text(totals.unexplained()));
    if (totals.ignored != 0) text += fmt::format("; {} ignored", count_text(totals.ignored));
    line("");
    line(text);
    if (totals.lost_in_a != 0) print_lost(totals.lost_in_a, 'A', 'B');
    if (totals.lost_in_b != 0) print_lost(totals.lost_in_b, 'B', 'A');
    if (totals.unaligned != 0)
      line(
          fmt::format("{} stand where the recordings are too different to be aligned exit by exit; "
                      "a larger --distance tries harder",
                      counted(totals.unaligned, "exit")));
  }

 private:
  void line(const std::string& text) { console_.print(fmt::format("{}\n", printable(text))); }
  void heading(const std::string& text) {
    console_.print(fmt::format("\n{}\n", console_.painted(printable(text), "1")));
  }

  void print_lost(uint64_t exits, char in, char of) {
    line(fmt::format("not a complete comparison: {} of {} lost in {}", counted(exits, "exit"), of,
                     in));
  }

  static std::string text_of_kind(const ExitChange& change) {
    switch (change.kind) {
      case ChangeKind::kChanged:
        return "changed";
      case ChangeKind::kMissing:
        return "only in A";
      case ChangeKind::kExtra:
        return "only in B";
    }
    return {};
  }

  void print_context(char letter, uint32_t vcpu, const std::vector<ExitSide>& lines,
                     const ExitSide& divergent) {
    for (const ExitSide& exit : lines) {
      // Where this side has no such exit, nothing is marked: it parts in front of that one.
      const bool is_it = exit.seq == divergent.seq && !divergent.name.empty();
      std::string text = fmt::format("  {} {} {:<10}  {:<24}  {}", letter, is_it ? '>' : ' ',
                                     place(vcpu, exit.seq), exit.name, exit.text);
      text.erase(text.find_last_not_of(' ') + 1);
      console_.print(
          fmt::format("{}\n", is_it ? console_.painted(printable(text), "33") : printable(text)));
    }
    if (lines.empty()) line(fmt::format("  {}   (no more exits on this vCPU)", letter));
  }

  // Registers that changed alike were told with the first such exit.
  void print_fields(const ExitChange& change) {
    size_t shown = 0, as_above = 0, hidden = 0;
    for (const FieldChange& field : change.fields) {
      std::string text = fmt::format(
          "{}{:<28} {} -> {}{}", kOfRowAbove, field.name, side_text(field.a, options_.verbose),
          side_text(field.b, options_.verbose),
          field.explained_by.empty() ? "" : fmt::format("   [{}]", ids_text(field.explained_by)));
      if (is_register(field) && told_registers_.contains(text)) {
        ++as_above;
      } else if (!options_.verbose && shown == kFieldsShown) {
        ++hidden;
      } else {
        ++shown;
        line(text);
        if (is_register(field)) told_registers_.insert(std::move(text));
      }
    }
    if (as_above != 0)
      line(fmt::format("{}{} as above", kOfRowAbove, counted(as_above, "register")));
    if (hidden != 0)
      line(fmt::format("{}{}; -v shows them", kOfRowAbove, counted(hidden, "more field")));
  }

  static bool is_register(const FieldChange& field) { return field.name.starts_with("kvm_"); }

  void print_group(const ChangeGroup& group) {
    const ExitChange& change = group.first;
    const bool in_a = !change.a.name.empty(), in_b = !change.b.name.empty();
    const std::string seq_a = in_a ? place(change.vcpu, change.a.seq) : "-";
    const std::string seq_b = in_b ? place(change.vcpu, change.b.seq) : "-";
    const ExitSide& shown = in_a ? change.a : change.b;
    std::string guest = change.guest;
    if (group.guests > 1) guest += fmt::format(" and {}", counted(group.guests - 1, "more guest"));
    if (!guest.empty()) guest += ": ";
    std::string text =
        fmt::format("  {:>6} x {:<9}  {:<9} {:<9}  {}{}  {}", count_text(group.count),
                    text_of_kind(change), seq_a, seq_b, guest, shown.name, shown.text);
    if (in_a && in_b && change.b.text != change.a.text)
      text += fmt::format(" -> {}", change.b.text);
    if (change.kind != ChangeKind::kChanged && change.explained())
      text += fmt::format("   [{}]", ids_text(change.explained_by));
    line(text);
    print_fields(change);
  }

  const DiffTextOptions& options_;
  Console& console_;
  std::set<std::string> told_registers_;
};

}  // namespace

void print_diff(const TraceReader& a, const TraceReader& b, const Diff& diff,
                const std::vector<SessionChange>& session,
                const std::vector<Distribution>& distributions, const DiffTextOptions& options,
                Console& console) {
  DiffText text(options, console);
  text.print_recording('A', a, diff.totals.compared_a, diff.totals.left_out_a);
  text.print_recording('B', b, diff.totals.compared_b, diff.totals.left_out_b);
  text.print_session(session);
  if (diff.first_unexplained)
    text.print_divergence("first divergence that no known kernel change explains",
                          diff.first_unexplained);
  else if (!options.only_unexplained)
    text.print_divergence("first divergence", diff.first);
  text.print_groups("unexplained (how often; where first in A and in B)", diff, false);
  if (!options.only_unexplained) {
    text.print_groups("explained by known kernel changes", diff, true);
    text.print_kernel_changes(diff);
  }
  text.print_seen_by_guest(diff);
  if (!options.only_unexplained) text.print_losses(diff);
  if (!options.only_unexplained) text.print_times(distributions);
  text.print_totals(diff.totals);
}

}  // namespace kvmtape
