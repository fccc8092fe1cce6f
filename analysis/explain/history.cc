#include "analysis/explain/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvmtape {
namespace {

// A vCPU's lines up to the crash, the newest `most`, oldest first.
std::vector<HistoryLine> lines_of(const Case& all, const VcpuStory& story, size_t most) {
  std::vector<HistoryLine> lines;
  const bool is_crash_vcpu = all.crash != nullptr && all.crash->exit.place.vcpu == story.index;
  for (const KeptExit& exit : story.last) {
    if (is_crash_vcpu && exit.place.seq > all.crash->exit.place.seq) break;
    if (all.crash != nullptr && !is_crash_vcpu && exit.time_ns > all.crash->exit.time_ns) break;
    HistoryLine line;
    line.time_ns = exit.time_ns;
    line.exit = &exit;
    line.is_crash = is_crash_vcpu && exit.place == all.crash->exit.place;
    lines.push_back(line);
  }
  if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(most));
  return lines;
}

// Of the later of two texts the words that the earlier does not have at either end: "0x20".
std::string_view words_that_differ(std::string_view earlier, std::string_view later) {
  const auto is_end = [](char character) { return character == ' ' || character == ','; };
  const size_t shorter = std::min(earlier.size(), later.size());
  size_t begin = 0;
  while (begin < shorter && earlier[begin] == later[begin]) ++begin;
  while (begin != 0 && later[begin - 1] != ' ') --begin;
  size_t same = 0;  // at the end
  while (same < shorter - begin &&
         earlier[earlier.size() - 1 - same] == later[later.size() - 1 - same])
    ++same;
  while (same != 0 && !is_end(later[later.size() - same])) --same;
  const std::string_view words = later.substr(begin, later.size() - begin - same);
  return words.empty() ? later : words;
}

// Of those that are folded into an exit. The newest stands nearest to the crash: it is shown.
std::string more_text(const Case& all, const KeptExit& exit, std::string_view text) {
  const std::string last = to_string({exit.place.vcpu, exit.last_seq});
  if (exit.are_alike) return fmt::format("{} more like it until {}", exit.more, last);
  if (exit.last_carried == exit.carried)
    return fmt::format("{} more, not all alike, the last like the first, at {}", exit.more, last);
  const DecodedExit newest = decode_owned(all.decoder, exit.last_bytes);
  const std::string newest_text = kvmtape::text_of(all.decoder, newest);
  const bool lost_answer = !newest.has_answer && exit.decoded(all.decoder).has_answer;
  if (newest_text == text && !lost_answer)
    return fmt::format("{} more with other data until {}", exit.more, last);
  const std::string_view words =
      lost_answer ? std::string_view("without an answer") : words_that_differ(text, newest_text);
  if (exit.more == 1) return fmt::format("then {}{} at {}", lost_answer ? "one " : "", words, last);
  return fmt::format("{} more, not all alike, the last {} at {}", exit.more, words, last);
}

void keep_newest(std::vector<HistoryLine>& lines, size_t most) {
  std::ranges::stable_sort(lines, {}, &HistoryLine::time_ns);
  if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(most));
}

}  // namespace

std::vector<HistoryLine> history_of(const Case& all, size_t most) {
  std::vector<HistoryLine> own, others;
  for (const auto& [index, story] : all.vcpus) {
    const bool is_crash_vcpu = all.crash != nullptr && all.crash->exit.place.vcpu == index;
    const auto lines = lines_of(all, story, most);
    auto& to = is_crash_vcpu ? own : others;
    to.insert(to.end(), lines.begin(), lines.end());
    if (!is_crash_vcpu) keep_newest(to, most);
  }
  const int64_t end = all.crash != nullptr ? all.crash->exit.time_ns : INT64_MAX;
  for (const Injection& injection : all.injections)
    if (injection.time_ns <= end && all.concerns(injection))
      others.push_back({injection.time_ns, nullptr, &injection, nullptr, false});
  for (const Mark& mark : all.marks)
    if (mark.time_ns <= end) others.push_back({mark.time_ns, nullptr, nullptr, &mark, false});
  keep_newest(others, most - std::min(own.size(), most / 2));
  keep_newest(own, most - others.size());
  own.insert(own.end(), others.begin(), others.end());
  keep_newest(own, most);
  // The crash ends it, whatever has the same time.
  std::stable_partition(own.begin(), own.end(),
                        [](const HistoryLine& line) { return !line.is_crash; });
  return own;
}

std::optional<NamedExit> exit_at(const Case& all, const Place& place) {
  const VcpuStory* story = all.story_of(place);
  if (story == nullptr) return std::nullopt;
  for (const KeptExit& exit : story->last) {
    if (exit.place == place) return NamedExit{exit.time_ns, &exit.bytes};
    if (exit.more != 0 && exit.last_seq == place.seq)
      return NamedExit{exit.last_time_ns, exit.bytes_of(place.seq)};
  }
  return std::nullopt;
}

bool is_in(const std::vector<HistoryLine>& lines, const Place& place) {
  return std::ranges::any_of(lines, [&](const HistoryLine& line) {
    return line.exit != nullptr && line.exit->place.vcpu == place.vcpu &&
           line.exit->place.seq <= place.seq && place.seq <= line.exit->last_seq;
  });
}

std::string name_text(const Case& all, const HistoryLine& line) {
  if (line.injection != nullptr) return "injected";
  if (line.mark != nullptr) return "mark";
  return name_of(line.exit->decoded(all.decoder));
}

std::string body_text(const Case& all, const HistoryLine& line) {
  if (line.mark != nullptr) return line.mark->text;
  if (line.injection != nullptr)
    return fmt::format("{} into vCPU id {}{}", line.injection->what, line.injection->vcpu_id,
                       line.injection->refused ? ", refused" : "");
  const KeptExit& exit = *line.exit;
  std::string text = kvmtape::text_of(all.decoder, exit.decoded(all.decoder));
  if (exit.more == 0) return text;
  const std::string more = more_text(all, exit, text);
  return fmt::format("{}{}{}{}", text, text.empty() ? "" : "; ", more,
                     exit.alternating ? ", alternating with what follows" : "");
}

}  // namespace kvmtape
