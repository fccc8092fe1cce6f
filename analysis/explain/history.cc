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
  if (exit.more != 0)
    text += fmt::format("{}{} more like it until {}{}", text.empty() ? "" : "; ", exit.more,
                        to_string({exit.place.vcpu, exit.last_seq}),
                        exit.alternating ? ", alternating with what follows" : "");
  return text;
}

}  // namespace kvmtape
