#include "cli/stat_live.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "cli/live.h"

namespace kvmtape {
namespace {

namespace fs = std::filesystem;

constexpr int kProcessesAboveMax = 16;

std::string open_trace_of(const fs::path& process) {
  std::error_code error;
  for (fs::directory_iterator fd(process / "fd", error), end; !error && fd != end;
       fd.increment(error)) {
    std::error_code ignored;
    const fs::path file = fs::read_symlink(fd->path(), ignored);
    if (file.extension() == ".kvmtape") return file.string();
  }
  return {};
}

std::string parent_process_of(const fs::path& process) {
  std::ifstream status(process / "status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("PPid:")) return line.substr(line.find_first_not_of(" \t", 5));
  return {};
}

}  // namespace

Result<std::string> trace_of_process(const std::string& pid) {
  std::string process = pid;
  for (int i = 0; i < kProcessesAboveMax && !process.empty() && process != "1"; ++i) {
    const fs::path directory = fs::path("/proc") / process;
    std::string trace = open_trace_of(directory);
    if (!trace.empty()) return trace;
    process = parent_process_of(directory);
  }
  return Error{ErrorCode::kIo,
               "this process has no recording open that this user may see: name the recording",
               pid,
               {}};
}

int watch_exits(TraceOptions trace, const SelectOptions& select, StatOptions options,
                int64_t interval_ns,
                const std::function<void(const TraceReader&, const Stat&)>& print,
                Console& console) {
  const EndSignals signals;
  auto reader = trace.open();
  if (!reader.ok()) return console.fail(reader.error());
  if (!(*reader)->health().writer_alive)
    return console.fail((*reader)->path() +
                        ": --live: it is no longer being recorded; without --live stat shows it");
  const int64_t begin_ns = (*reader)->duration_ns() + 1;
  const uint64_t begin_ticks = (*reader)->session().start.ticks;
  int64_t shown_ns = begin_ns;
  auto shown_at = std::chrono::steady_clock::now();
  StatProgress progress;
  for (;;) {
    const bool interrupted = signals.wait(interval_ns);
    reader = trace.open();
    if (!reader.ok()) return console.fail(reader.error());
    auto selection = select.selection(**reader);
    if (!selection.ok()) return console.fail(selection.error());
    options.selection = *selection;
    // A recording of bounded files goes on in a new one, whose time begins anew.
    const bool same_file = (*reader)->session().start.ticks == begin_ticks;
    options.selection.time_ns = {same_file ? std::max(begin_ns, shown_ns - kMarginNs) : 0,
                                 std::numeric_limits<int64_t>::max()};
    Stat stat = count_new_exits(**reader, options, progress);
    // A guest that is idle leaves nothing behind that says how long.
    const auto now = std::chrono::steady_clock::now();
    stat.from_ns = shown_ns;
    stat.to_ns = shown_ns + std::chrono::nanoseconds(now - shown_at).count();
    shown_at = now;
    shown_ns = (*reader)->duration_ns();
    print(**reader, stat);
    if (console.finish(kDone) != kDone) return kFailed;
    if (console.closed() || interrupted) return kDone;
    if (!(*reader)->health().writer_alive) return report_health(**reader, console);
  }
}

}  // namespace kvmtape
