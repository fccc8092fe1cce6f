#include "cli/recorders_of.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "replayer/trace_reader.h"

namespace kvmtape {
namespace {

namespace fs = std::filesystem;

constexpr int kAncestorsMax = 16;
constexpr std::string_view kRemoved = " (deleted)";  // d_path of fs/d_path.c, 6.12

fs::path directory_of(pid_t process) { return fs::path("/proc") / std::to_string(process); }

pid_t parent_of(pid_t process) {
  std::ifstream status(directory_of(process) / "status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("PPid:")) return static_cast<pid_t>(std::stol(line.substr(5)));
  return 0;
}

std::optional<pid_t> number_in(const std::string& text) {
  pid_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number < 0) return std::nullopt;
  return number;
}

bool is_of_monitor(const OpenTrace& trace, pid_t process) {
  if (trace.is_removed) return false;
  const auto reader = TraceReader::open(trace.path);
  return reader.ok() && (*reader)->session().monitor_pid == static_cast<uint32_t>(process);
}

std::vector<OpenTrace> list_open_traces(pid_t process) {
  std::vector<OpenTrace> traces;
  std::error_code error;
  for (fs::directory_iterator fd(directory_of(process) / "fd", error), end; !error && fd != end;
       fd.increment(error)) {
    std::error_code ignored;
    std::string path = fs::read_symlink(fd->path(), ignored).string();
    const bool is_removed = path.ends_with(kRemoved);
    if (is_removed) path.resize(path.size() - kRemoved.size());
    if (path.ends_with(".kvmtape")) traces.push_back({std::move(path), is_removed});
  }
  return traces;
}

}  // namespace

std::optional<pid_t> process_named(const std::string& target) {
  std::error_code ignored;
  if (fs::exists(target, ignored)) return std::nullopt;
  return number_in(target);
}

std::vector<OpenTrace> open_traces_of(pid_t process) {
  // Who goes from one file to the next while its descriptors are listed may seem to have neither.
  constexpr int kLooks = 3;
  std::vector<OpenTrace> traces;
  for (int look = 0; look < kLooks && traces.empty(); ++look) traces = list_open_traces(process);
  return traces;
}

std::vector<pid_t> recorders_of(pid_t process) {
  std::vector<pid_t> recorders;
  pid_t above = process;
  for (int i = 0; above > 1 && i < kAncestorsMax; ++i, above = parent_of(above))
    if (!open_traces_of(above).empty()) recorders.push_back(above);
  if (!recorders.empty()) return recorders;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const auto other = number_in(entry->path().filename().string());
    if (!other) continue;
    const auto traces = open_traces_of(*other);
    if (std::ranges::any_of(traces, [&](const auto& open) { return is_of_monitor(open, process); }))
      recorders.push_back(*other);
  }
  return recorders;
}

}  // namespace kvmtape
